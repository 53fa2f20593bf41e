//! What operations ask of the host, and what they were granted: locks, versions, turns, cached results.
//!
//! *Guarantees.* Everything but a lock that somebody else has is answered at once; such a lock is waited for by a thread
//! of its own, which costs nothing while it waits. What an operation holds is given back when it is released or dropped.

use crate::host::{Answer as Found, Commit, HeldLock, Holder, Host, HostError, Miss, Tried, Turn, Written};
use crate::order::RunIdentity;
use pop_agenda::{Answer, CacheAsk, Gate, OpIx, Plan, Planned, Serves};
use pop_launchers::process::resolve;
use pop_policy::CacheKey;
use pop_registry::contract::{Blame, Failure, LaunchType, Millis};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// A lock that was waited for.
pub(crate) struct Arrived {
    pub(crate) op: OpIx,
    pub(crate) name: Box<str>,
    lock: Result<HeldLock, HostError>,
}

/// What is granted to the operations of a run.
pub(crate) struct Granted {
    host: Host,
    run: String,
    /// The folder beside which the registry's relative programs are looked for.
    home: Option<PathBuf>,
    on: LaunchType,
    held: HashMap<OpIx, Vec<HeldLock>>,
    /// The keys under which results will be kept.
    keys: HashMap<OpIx, CacheKey>,
    /// The digests of programs, each read once a run.
    programs: HashMap<PathBuf, Option<String>>,
    /// The folder in which programs start.
    start: PathBuf,
    arrivals: mpsc::UnboundedSender<Arrived>,
}

impl Granted {
    pub(crate) fn new(host: Host, identity: &RunIdentity) -> (Self, mpsc::UnboundedReceiver<Arrived>) {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        let RunIdentity { run, home, on, start, .. } = identity.clone();
        let (held, keys, programs) = (HashMap::new(), HashMap::new(), HashMap::new());
        (Self { host, run, home, on, held, keys, programs, start, arrivals }, arrived)
    }

    /// Asks for one thing; what cannot be asked for fails the attempt.
    pub(crate) fn ask(&mut self, plan: &Plan, op: OpIx, gate: &Gate, clock: fn() -> Millis) -> Answer {
        let planned = plan.operation(op);
        let answer = match gate {
            Gate::Lock { name } => self.lock(op, name, planned),
            Gate::Cache(ask) => Ok(self.look_up(plan, op, ask, clock())),
            Gate::Version { name } => self.host.version(name).map(Answer::Version),
            Gate::Delay { id, ms } => {
                let id = id.as_deref().unwrap_or_else(|| planned.name.as_str());
                self.host.turn(id, *ms, clock).map(|turn| match turn {
                    Turn::Now => Answer::Granted,
                    Turn::NotBefore(at) => Answer::Later { ms: at.saturating_sub(clock()).max(1) },
                })
            }
        };
        answer.unwrap_or_else(|error| Answer::Failed(Box::new(failure(&error))))
    }

    fn holder(&self, planned: &Planned) -> Holder {
        Holder { run: self.run.clone(), operation: planned.name.to_string(), pid: std::process::id() }
    }

    fn lock(&mut self, op: OpIx, name: &str, planned: &Planned) -> Result<Answer, HostError> {
        let holder = self.holder(planned);
        match self.host.try_lock(name, &holder)? {
            Tried::Locked(lock) => {
                self.held.entry(op).or_default().push(lock);
                Ok(Answer::Granted)
            }
            Tried::Busy { holder: other } => {
                self.wait(op, name.into(), holder);
                let other = other.map_or_else(
                    || "somebody".to_owned(),
                    |other| {
                        format!(
                            "operation `{}` of run {} (process {})",
                            other.operation, other.run, other.pid
                        )
                    },
                );
                Ok(Answer::Busy { holder: other.into() })
            }
        }
    }

    /// Has a thread wait for a lock; it ends with the process at the latest.
    fn wait(&self, op: OpIx, name: Box<str>, holder: Holder) {
        let (host, arrivals) = (self.host.clone(), self.arrivals.clone());
        let waiting = std::thread::Builder::new().name("lock".to_owned()).spawn({
            let name = name.clone();
            move || {
                let lock = host.wait(&name, &holder);
                // a run that is over has no use for it
                arrivals.send(Arrived { op, name, lock }).ok();
            }
        });
        if let Err(error) = waiting {
            let lock = Err(HostError::Io { path: self.host.folder().to_owned(), source: error });
            self.arrivals.send(Arrived { op, name, lock }).ok();
        }
    }

    /// Takes a lock that has come for an operation that still wants it.
    pub(crate) fn take(&mut self, arrived: Arrived) -> Answer {
        match arrived.lock {
            Ok(lock) => {
                self.held.entry(arrived.op).or_default().push(lock);
                Answer::Granted
            }
            Err(error) => Answer::Failed(Box::new(failure(&error))),
        }
    }

    /// Takes again what an earlier executor held for an attempt that is still out; what somebody else has by now is his.
    pub(crate) fn reclaim(&mut self, plan: &Plan, op: OpIx, gates: &[Gate]) {
        for gate in gates {
            match gate {
                Gate::Lock { name } => {
                    if let Ok(Tried::Locked(lock)) =
                        self.host.try_lock(name, &self.holder(plan.operation(op)))
                    {
                        self.held.entry(op).or_default().push(lock);
                    }
                }
                // its result will be kept as if nothing had been
                Gate::Cache(ask) => {
                    let key = self.key(plan, ask, plan.operation(op));
                    self.keys.insert(op, key);
                }
                Gate::Version { .. } | Gate::Delay { .. } => {}
            }
        }
    }

    /// Gives everything back that an operation holds.
    pub(crate) fn release(&mut self, op: OpIx) {
        self.held.remove(&op);
        self.keys.remove(&op);
    }

    fn look_up(&mut self, plan: &Plan, op: OpIx, ask: &CacheAsk, now: Millis) -> Answer {
        let planned = plan.operation(op);
        let key = self.key(plan, ask, planned);
        let found = self.host.look_up(&ask.state, &key, planned.name.as_str(), now, ask.ttl_ms);
        self.keys.insert(op, key);
        match found {
            Found::Hit { result, from: Written { run, operation, written } } => {
                Answer::Hit { result: result.into(), by: format!("{run}/{operation}").into(), written }
            }
            Found::Miss(why) => Answer::Miss { why: words(&why).into() },
        }
    }

    /// Keeps a result; words about it if it cannot be kept.
    pub(crate) fn fill(
        &self,
        plan: &Plan,
        op: OpIx,
        ask: &CacheAsk,
        result: &Value,
        now: Millis,
    ) -> Option<String> {
        let name = plan.operation(op).name.to_string();
        let key = self.keys.get(&op)?;
        let by = Written { run: self.run.clone(), operation: name.clone(), written: now };
        match self.host.write(&ask.state, key, result, &by) {
            Ok(true) => None,
            Ok(false) => {
                Some(format!("the result of `{name}` is too large to be kept in cache `{}`", ask.state))
            }
            Err(error) => Some(format!(
                "the result of `{name}` is not kept in cache `{}`: {}",
                ask.state,
                failure(&error).message
            )),
        }
    }

    /// Makes the next version of each key, unless somebody else has made one since it was read.
    pub(crate) fn commit(&self, versions: &[(&str, u64)], by: &str) -> Result<(), Box<Failure>> {
        for (name, seen) in versions {
            match self.host.commit(name, *seen, by) {
                Ok(Commit::Committed) => {}
                Ok(Commit::Conflict { version, by }) => {
                    let message = format!(
                        "`{name}` was changed meanwhile: version {seen} was read, and {by} has made version {version}"
                    );
                    return Err(Box::new(Failure::new(Blame::Handler, "conflict", message)));
                }
                Err(error) => return Err(Box::new(failure(&error))),
            }
        }
        Ok(())
    }

    fn key(&mut self, plan: &Plan, ask: &CacheAsk, planned: &Planned) -> CacheKey {
        let text = |text: &str| text.to_owned();
        let mut key = CacheKey::new(&*planned.handler_type, ask.input.clone());
        if let Some(route) = &planned.route {
            key.handler = route.handler.as_deref().map(text);
            key.version = route.version.as_deref().map(text);
        }
        key.action = planned.special.as_ref().and_then(|special| special.action.as_deref()).map(text);
        key.program = self.program(plan, planned);
        key
    }

    /// What the handler is made of: its program or image, and what the registry gives it besides the payload.
    fn program(&mut self, plan: &Plan, planned: &Planned) -> Option<String> {
        match &planned.serves {
            Serves::Program(entry) if self.on == LaunchType::Local => {
                let folder = entry.working_directory.as_deref().unwrap_or_default();
                let argv = entry.command.clone().unwrap_or_default();
                let home = self.home.clone();
                let program = argv.first().and_then(|program| self.digest(program, folder, home.as_deref()));
                // a script is its interpreter's argument
                let files: Vec<_> = argv.iter().skip(1).map(|file| self.file_digest(file, folder)).collect();
                let given = json!([program, files, argv, entry.properties, entry.env_vars]);
                Some(blake3::hash(given.to_string().as_bytes()).to_hex().to_string())
            }
            Serves::Program(entry) => {
                let given = json!([entry.image(), entry.properties, entry.env_vars]);
                Some(blake3::hash(given.to_string().as_bytes()).to_hex().to_string())
            }
            Serves::Exec => {
                let template = planned.payload.template();
                let text = |field: &str| template[field].as_str().map(str::to_owned);
                if self.on != LaunchType::Local {
                    return text("image").or_else(|| plan.exec_pod().image.clone());
                }
                let folder = text("workingDirectory").unwrap_or_default();
                self.digest(template["command"][0].as_str()?, &folder, None)
            }
            Serves::Resident(_) | Serves::Dispatch => Some(env!("CARGO_PKG_VERSION").to_owned()),
        }
    }

    /// The digest of the file that a program is, if it is found.
    fn digest(&mut self, program: &str, folder: &str, home: Option<&Path>) -> Option<String> {
        let folder = self.start.join(folder);
        let beside = home.and_then(|home| resolve(&home.join(program), &folder, None).ok());
        let path = std::env::var_os("PATH");
        let found = beside.or_else(|| resolve(Path::new(program), &folder, path.as_deref()).ok())?;
        self.digest_of(found)
    }

    /// The digest of the file that an argument names, if it does.
    fn file_digest(&mut self, argument: &str, folder: &str) -> Option<String> {
        let path = self.start.join(folder).join(argument);
        if path.is_file() { self.digest_of(path) } else { None }
    }

    fn digest_of(&mut self, path: PathBuf) -> Option<String> {
        let known = self.programs.entry(path);
        known.or_insert_with_key(|path| digest(path).ok()).clone()
    }
}

fn digest(program: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(program)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn words(why: &Miss) -> String {
    match why {
        Miss::Absent { changed } if changed.is_empty() => "nothing is kept for this key".to_owned(),
        Miss::Absent { changed } => format!("the key has changed: {}", changed.join(", ")),
        Miss::Expired { .. } => "what is kept is older than cacheTtlMs".to_owned(),
        Miss::Damaged => "what is kept is damaged".to_owned(),
    }
}

fn failure(error: &HostError) -> Failure {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Failure::new(Blame::Platform, "host", format!("{error}{source}"))
}
