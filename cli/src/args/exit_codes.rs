//! Exit codes as the help of each command lists them. docs/formats/exit-codes.md has the whole table.

/// Every exit code of `pop`.
pub(super) const ALL: &str = "\
Exit codes:
  0    success: every operation succeeded, was skipped or came from the cache
  1    internal error
  2    invalid command line, or unknown run, operation or type
  3    invalid agenda
  4    invalid registry or settings
  10   an operation failed
  11   no operation failed, except some that are in the dead-letter queue (`onFail: DLQ`)
  12   an operation with `onFail: FATAL` failed
  13   time limit reached
  14   Docker Engine or cluster unreachable
  15   journal unusable, agenda or settings of the run changed, or run used by another process
  130  interrupted (SIGINT)
  143  terminated (SIGTERM, SIGHUP)";

/// `pop run`, `resume` and `dlq replay`: every code.
pub(super) const RUN: &str = ALL;

/// `pop check` and `plan`.
pub(super) const PLAN: &str = "\
Exit codes: 0 no errors, 1 internal error, 2 invalid command line, 3 invalid agenda, 4 invalid registry or settings";

/// `pop inputs`.
pub(super) const INPUTS: &str =
    "Exit codes: 0 success, 1 internal error, 2 invalid command line, 3 invalid agenda";

/// Commands that read saved runs.
pub(super) const READ: &str =
    "Exit codes: 0 success, 1 internal error, 2 unknown run or operation, 15 journal unusable";

/// `pop cancel`.
pub(super) const CANCEL: &str = "\
Exit codes: 0 signal sent, or the run is not running; 1 internal error, 2 unknown run, 15 the executor runs on another host";

/// `pop wait` and `watch`.
pub(super) const WAIT: &str = "\
Exit codes: the exit code of the run (0, 1, 10, 11, 12, 13, 130 or 143); 1 internal error, 2 unknown run, 15 the run has no \
end because its executor died or runs on another host, or its journal is unusable";

/// `pop prune`.
pub(super) const PRUNE: &str =
    "Exit codes: 0 success, 1 internal error, 2 invalid command line, 15 a run cannot be read or deleted";

/// `pop operator`.
pub(super) const OPERATOR: &str = "\
Exit codes: 0 success, or stopped by a signal; 1 internal error, 2 invalid command line or operator file, \
4 invalid registry or settings, 14 cluster unreachable";

/// `pop completions` and `man`.
pub(super) const PRINT: &str = "Exit codes: 0 success, 1 internal error, 2 invalid command line";

/// `pop dlq list`, `show` and `drop`.
pub(super) const DLQ: &str =
    "Exit codes: 0 success, 1 internal error, 2 unknown run or dead letter, 15 dead letter unreadable";

/// `pop cache`.
pub(super) const CACHE: &str = "Exit codes: 0 success, 1 internal error, 2 invalid command line";

/// `pop traces`.
pub(super) const TRACES: &str = "\
Exit codes: 0 every span has arrived, 1 internal error, 2 invalid command line, or unknown run, 14 the collector cannot be \
reached or refuses the spans, 15 journal unusable, or another process sends the spans";

/// `pop verify`.
pub(super) const VERIFY: &str = "\
Exit codes: 0 everything is equal, 10 something differs; if a run cannot be compared, that run's exit code (1, 2, 3, 4, \
14, 15)";

/// `pop handlers`.
pub(super) const HANDLERS: &str = "\
Exit codes: 0 no errors, 1 internal error, 2 unknown type or run, 4 invalid registry, descriptor or settings";

/// `pop handler check`.
pub(super) const HANDLER_CHECK: &str =
    "Exit codes: 0 no promise is broken, 1 internal error, 2 invalid command line, 10 a promise is broken";

/// `pop handler`.
pub(super) const HANDLER: &str = "\
Exit codes: 0 success, 1 internal error, 2 invalid command line, 4 invalid registry, 10 a promise is broken, no instance
starts, or the handler refuses the command, 14 the Docker Engine cannot be reached";

/// `pop handler serve`.
pub(super) const HANDLER_SERVE: &str = "\
Exit codes: 0 the handler was closed, 1 internal error, 2 invalid command line or type, 4 invalid registry, 10 no instance
starts, 14 the Docker Engine cannot be reached";

/// `pop handler ctl`.
pub(super) const HANDLER_CTL: &str = "Exit codes: 0 success, 1 internal error, 2 invalid command line or id, 10 the handler refuses the command";

/// `pop serve`.
pub(super) const SERVE: &str = "\
Exit codes: 0 the service was stopped, 1 internal error, 2 invalid command line, or an address that needs tokens, 4 invalid
registry or settings, 14 the database cannot be used, or the Docker Engine or cluster cannot be reached";

/// `pop pull`.
pub(super) const PULL: &str = "\
Exit codes: 0 the puller was stopped, 1 internal error, 2 invalid command line, 4 invalid registry or settings, 14 the Docker
Engine or cluster cannot be reached";

/// `pop reap`.
pub(super) const REAP: &str = "\
Exit codes: 0 success, 1 something could not be deleted, 2 invalid command line, 4 invalid settings, 14 the cluster, the
Engine or the service cannot be reached";

/// `pop new`.
pub(super) const NEW: &str =
    "Exit codes: 0 success, 1 internal error, 2 invalid name or option, or the folder exists already";
