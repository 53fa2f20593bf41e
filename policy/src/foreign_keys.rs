//! The table of keys that users bring along from other tools, each with pop's key for it.
//!
//! A row applies at every level where its key is unknown, unless it names levels. The first row that matches counts.
//! Every suggested key has an effect. To teach pop a new key, add it to a row.

use crate::keys::Level;

/// Place of pop's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A field of the agenda.
    Agenda,
    /// A field of an operation.
    Operation,
    /// `params` of an operation; those that are policies also of an agenda.
    Params,
    /// The map `retry`.
    Retry,
    /// The payload of type `exec`.
    Exec,
    /// A field of a registry entry.
    RegistryEntry,
    /// An option of `pop run`.
    CommandLine,
}

/// Keys of other tools with the same meaning.
pub(crate) struct ForeignKeys {
    /// Levels to which the row is limited; empty for all.
    pub(crate) levels: &'static [Level],
    /// The keys, separated by spaces, in lower case and without `-`, `_` and `.`.
    pub(crate) keys: &'static str,
    /// Place and text of pop's key; none if pop has no such key.
    pub(crate) suggestion: Option<(Place, &'static str)>,
    /// Further help; may be empty.
    pub(crate) note: &'static str,
}

const MILLISECONDS: &str = "times are in milliseconds";

const fn row(keys: &'static str, place: Place, words: &'static str) -> ForeignKeys {
    ForeignKeys { levels: &[], keys, suggestion: Some((place, words)), note: "" }
}

impl ForeignKeys {
    const fn at(mut self, levels: &'static [Level]) -> Self {
        self.levels = levels;
        self
    }

    const fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }
}

/// Keys for which pop has none.
const fn without(keys: &'static str, note: &'static str) -> ForeignKeys {
    ForeignKeys { levels: &[], keys, suggestion: None, note }
}

pub(crate) const FOREIGN_KEYS: &[ForeignKeys] = &[
    // the map `retry`
    row("attempts tries limit times count retries max maxretries total", Place::Retry, "`maxAttempts`")
        .at(&[Level::Retry])
        .note("`maxAttempts` counts the first attempt"),
    row("delay wait interval backoff initialdelay delayseconds minbackoff", Place::Retry, "`delayMs`")
        .at(&[Level::Retry])
        .note(MILLISECONDS),
    row("multiplier exponent backofffactor exponential", Place::Retry, "`factor`").at(&[Level::Retry]),
    row("maxdelay maxinterval maxbackoff maxwait", Place::Retry, "`maxDelayMs`")
        .at(&[Level::Retry])
        .note(MILLISECONDS),
    row("when if codes exitcodes exitcode onexitcodes statuses errors", Place::Retry, "`on`").at(&[Level::Retry]),
    // files
    row("inputs inputfiles infiles sources source srcs consumes input inputartifacts read", Place::Params, "`reads`")
        .at(&[Level::Params, Level::Operation])
        .note("`reads` are files or patterns, relative to the working directory"),
    row("outputs outputfiles outfiles output targets target artifacts artifact generates generate produces creates products outputartifacts write", Place::Params, "`writes`")
        .at(&[Level::Params, Level::Operation])
        .note("`writes` are files or patterns, relative to the working directory"),
    row("outputs outputfiles outfiles artifacts generates produces creates", Place::Params, "`writes`")
        .note("`writes` are files or patterns, relative to the working directory"),
    row("sources inputfiles infiles consumes", Place::Params, "`reads`")
        .note("`reads` are files or patterns, relative to the working directory"),
    // the payload of type `exec`
    row("script bash sh run", Place::Exec, "`shell`").at(&[Level::Exec]),
    row("args arguments argv cmd exec entrypoint program", Place::Exec, "`command`").at(&[Level::Exec]),
    row("input in data", Place::Exec, "`stdin`").at(&[Level::Exec]),
    row("exitcodes okcodes allowedexitcodes validexitcodes expectedexitcodes", Place::Exec, "`successCodes`"),
    row("register captureoutput capturestdout returnstdout stdout output", Place::Exec, "`capture`"),
    // an agenda
    row("tasks steps jobs stages nodes pipeline workflow dag templates", Place::Agenda, "`operations`")
        .at(&[Level::Agenda]),
    row("vars variables parameters arguments args input parameter", Place::Agenda, "`inputs`").at(&[Level::Agenda]),
    row("name displayname label", Place::Agenda, "`title`").at(&[Level::Agenda]),
    row("defaults default policies policy options settings config", Place::Agenda, "`params`").at(&[Level::Agenda]),
    row("parallelism parallel maxparallel maxconcurrent maxactive maxactivesteps", Place::CommandLine, "`--parallel`")
        .at(&[Level::Agenda]),
    row("timelimit activedeadlineseconds", Place::CommandLine, "`--time-limit`").at(&[Level::Agenda]),
    row("failfast keepgoing", Place::CommandLine, "`--keep-going`"),
    // an operation
    row("uses operator plugin kind executor handlertype module task", Place::Operation, "`type`").at(&[Level::Operation]),
    row("with input body spec config parameters", Place::Operation, "`payload`").at(&[Level::Operation]),
    row("policies policy options settings", Place::Operation, "`params`").at(&[Level::Operation]),
    // dependencies and conditions
    row("needs deps dependson dependencies dependency depends requires upstream upstreams after runafter waitfor", Place::Params, "`dependsOn`"),
    row("if condition conditions onlyif", Place::Params, "`when`"),
    row("unless skipif skip", Place::Params, "`skipPattern`"),
    row("always alwaysrun cleanup onexit ensure teardown", Place::Params, "`finally`"),
    // failures
    row("timeout timeoutminutes timeoutseconds timeoutsec timelimit deadline activedeadlineseconds maxruntime executiontimeout", Place::Params, "`timeoutMs`")
        .note(MILLISECONDS),
    row("totaltimeout overalltimeout", Place::Params, "`totalTimeoutMs`").note(MILLISECONDS),
    row("idletimeout silencetimeout outputtimeout", Place::Params, "`noOutputTimeoutMs`").note(MILLISECONDS),
    row("queuetimeout starttimeout scheduletimeout pendingtimeout", Place::Params, "`pendingTimeoutMs`").note(MILLISECONDS),
    row("locktimeout", Place::Params, "`lockTimeoutMs`").note(MILLISECONDS),
    row("retries maxattempts maxretries retrycount retrylimit attempts tries backofflimit", Place::Params, "`retry.maxAttempts`")
        .note("`retry: {maxAttempts: 3}` is three attempts in all"),
    row("retrydelay retryinterval retrypolicy retrystrategy backoff", Place::Params, "`retry`")
        .note("`retry: {maxAttempts: 3, delayMs: 500, factor: 2}`"),
    row("continueonerror continueonfail continueon allowfailure ignorefailure ignoreerror errorstrategy onerror onfailure failurepolicy", Place::Params, "`onFail`")
        .note("with `onFail: SKIP` the run continues after a failure"),
    // repetition, order and shared things
    row("matrix withitems withparam withsequence loop foreach items each strategy scatter", Place::Params, "`forEach`"),
    row("parallelism parallel maxconcurrent maxactive", Place::Params, "`maxParallel`"),
    row("concurrency concurrencygroup mutex semaphore synchronization resourcegroup exclusive", Place::Params, "`lock`")
        .note("`lock: SAFE` runs operations with the same `lockKey` one after another"),
    row("ratelimit throttle delay interval sleep wait", Place::Params, "`delayMs`").note(MILLISECONDS),
    row("cachekey", Place::Params, "`cacheKeyPattern`"),
    row("cache caching memoize checkpoint", Place::Params, "`useCache`"),
    row("cachettl cachemaxage cacheexpires", Place::Params, "`cacheTtlMs`").note(MILLISECONDS),
    // programs
    row("cmd run script args arguments argv commands entrypoint bash sh exec", Place::Exec, "`command` or `shell`"),
    row("cwd dir workdir workingdir chdir directory", Place::Exec, "`workingDirectory`"),
    row("environment envvars envs vars variables", Place::Exec, "`env`"),
    row("container docker dockerimage imagename", Place::Exec, "`image`"),
    row("resources requests limits resource", Place::Exec, "`cpu` and `memory`"),
    row("cpus ncpus vcpus cores threads cpulimit cpurequest", Place::Exec, "`cpu`"),
    row("mem ram memorylimit memoryrequest memorymb memmb", Place::Exec, "`memory`"),
    row("secret secrets secretenv envfrom", Place::RegistryEntry, "`secrets`"),
    // nothing in pop
    without("priority weight priorityclassname", "pop starts operations in the order of the agenda"),
    without("schedule cron on trigger triggers startdate", "pop runs an agenda once: start it from cron, a timer or a CronJob"),
];
