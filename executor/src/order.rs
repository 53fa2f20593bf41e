//! From a planned operation to a launch order, and from a launch's end to a verdict.

use pop_agenda::{OpIx, Plan, Planned, Scheduler, Serves, Verdict};
use pop_handler_base::field_retriever::{names::environment as variable, payload};
use pop_launchers::{Captured, Ended, LaunchId, LaunchOrder, Program, label};
use pop_registry::contract::{Blame, Exit, Failure, LaunchType, Progress, judge};
use pop_registry::{Capture, Entry, ExecPayload, PodConfig};
use serde_json::{Map, Value, json};
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Payloads up to this length travel as plain text.
const PLAIN_LIMIT: usize = 100_000;
/// Compressed payloads up to this length travel in the environment; longer ones as a file.
const COMPRESSED_LIMIT: usize = 1_000_000;

/// What is the same for every operation of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// The run.
    pub run: String,
    /// By what the run's programs are known: the run, unless others may be called so too.
    pub mark: String,
    /// The correlation id.
    pub cid: String,
    /// The name of the agenda as messages give it.
    pub agenda: String,
    /// The folder of the run.
    pub folder: PathBuf,
    /// The folder in which programs start.
    pub start: PathBuf,
    /// The folder of logs.
    pub logs: PathBuf,
    /// The folder beside which the registry's relative programs are looked for.
    pub home: Option<PathBuf>,
    /// How operations are launched; also what handlers are told to launch their own programs by.
    pub on: LaunchType,
}

impl RunIdentity {
    /// The variables that every program of the run is given.
    pub fn variables(&self, plan: &Plan) -> Vec<(String, String)> {
        let identity = &plan.identity;
        let agenda_id = identity.id.as_deref().unwrap_or(&self.run);
        let all = [
            (variable::RUN_ID, Some(self.mark.as_str())),
            (variable::CID, Some(self.cid.as_str())),
            (variable::AGENDA_ID, Some(agenda_id)),
            (variable::CUSTOMER_ID, identity.customer_id.as_deref()),
            (variable::PROGRESS_ID, identity.progress_id.as_deref()),
            (variable::LAUNCH_TYPE, Some(self.on.as_str())),
            (variable::EXTERNAL_LAUNCH_TYPE, Some(self.on.as_str())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    }

    /// Variables of this process that would mislead a program of the run.
    pub fn is_foreign(name: &str) -> bool {
        let payload = [variable::PAYLOAD, variable::PAYLOAD_TYPE, variable::PAYLOAD_FILE];
        let progress = [variable::LAST_PROGRESS, variable::LAST_PROGRESS_FILE];
        let own = [variable::OPERATION_NAME, variable::OPERATION_ID, variable::ATTEMPT, variable::ACTION];
        let settings = [variable::PROPERTIES, variable::PROP_FILE];
        [payload.as_slice(), &progress, &own, &settings].iter().any(|names| names.contains(&name))
            || name.starts_with(variable::COMPRESSED_PAYLOAD_PREFIX)
    }
}

/// The file of an attempt's log.
pub fn operation_log(logs: &Path, planned: &Planned, attempt: u32) -> PathBuf {
    log_of(logs, &planned.name.file_name(), attempt)
}

fn log_of(logs: &Path, file_name: &str, attempt: u32) -> PathBuf {
    logs.join(format!("{file_name}.{attempt}.log"))
}

/// The number of an attempt's launch.
pub(crate) fn launch_id(op: OpIx, attempt: u32) -> LaunchId {
    LaunchId(u64::from(op.0) << 32 | u64::from(attempt))
}

/// The attempt that a launch is of.
pub(crate) fn attempt_of(id: LaunchId) -> (OpIx, u32) {
    (OpIx((id.0 >> 32) as u32), id.0 as u32)
}

/// What must be remembered of a launch to judge its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    is_exec: bool,
    capture: Capture,
    success_codes: Vec<i32>,
}

/// An attempt ready to be launched.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) order: LaunchOrder,
    pub(crate) expected: Expected,
    /// The payload as text, for handlers inside the executor.
    pub(crate) payload: Option<String>,
}

/// Prepares an attempt: references filled, environment written, log named.
pub(crate) fn prepare(
    scheduler: &Scheduler,
    identity: &RunIdentity,
    op: OpIx,
    attempt: u32,
    again: bool,
) -> Result<Ready, Failure> {
    let payload = scheduler
        .payload_to_start(op)
        .map_err(|error| Failure::new(Blame::Handler, error.code(), error.to_string()))?;
    let with =
        With { payload: &payload, prior: scheduler.progress(op).map(AsRef::as_ref), write: &write_file };
    let mut ready = order_of(scheduler.plan(), identity, op, attempt, &with)?;
    ready.order.again = again;
    Ok(ready)
}

/// The order of an operation's first attempt as far as it is known before the run: references are not filled, and
/// nothing is written.
pub fn preview(plan: &Plan, identity: &RunIdentity, op: OpIx) -> Result<(LaunchId, LaunchOrder), Failure> {
    let payload = plan.operation(op).payload.template();
    let with = With { payload, prior: None, write: &|_, _| Ok(()) };
    Ok((launch_id(op, 1), order_of(plan, identity, op, 1, &with)?.order))
}

/// What an order is made with.
struct With<'w> {
    payload: &'w Value,
    prior: Option<&'w Progress>,
    /// Writes what is too long for a variable.
    write: &'w Write<'w>,
}

type Write<'w> = dyn Fn(&Path, &str) -> io::Result<()> + 'w;

fn order_of(
    plan: &Plan,
    identity: &RunIdentity,
    op: OpIx,
    attempt: u32,
    with: &With<'_>,
) -> Result<Ready, Failure> {
    let With { payload, prior, write } = with;
    let planned = plan.operation(op);
    let file_name = planned.name.file_name();
    let limits = planned.policies.limits();
    let mut order = LaunchOrder {
        name: format!("{}-{file_name}-{attempt}", identity.mark),
        log: Some(log_of(&identity.logs, &file_name, attempt)),
        limit: limits.run_ms.map(Duration::from_millis),
        silence: limits.silence_ms.map(Duration::from_millis),
        ..LaunchOrder::default()
    };
    if identity.on != LaunchType::Local {
        order.labels = labels(identity, planned, attempt);
        let pod = pod(plan, planned);
        order.pending = Some(limits.pending_ms.map_or(pod.scheduled_timeout, Duration::from_millis));
        order.silence = order.silence.or(pod.stdout_timeout);
        order.program.pod = Some(Arc::clone(pod));
    }
    let mut expected = Expected::default();
    let mut text = None;
    match &planned.serves {
        Serves::Exec => {
            let exec = exec_payload(payload)?;
            expected = Expected { is_exec: true, capture: exec.capture, success_codes: exec.success_codes };
            order.program = Program {
                argv: exec.command,
                env: exec.env,
                working_directory: exec.working_directory.map(PathBuf::from),
                image: exec.image,
                cpu: exec.cpu,
                memory: exec.memory,
                ..order.program
            };
            if expected.capture != Capture::Nothing {
                order.captured = Captured::Stdout;
            }
        }
        Serves::Resident(_) => text = Some(payload.to_string()),
        // its parts are launched
        Serves::Dispatch => {}
        Serves::Program(entry) => {
            order.program = Program { pod: order.program.pod.take(), ..program(entry, identity) };
            if let Some(prior) = prior.and_then(|prior| serde_json::to_string(prior).ok()) {
                let file = identity.logs.join(format!("{file_name}.{attempt}.progress"));
                let variable = progress_variable(prior, &file, write)?;
                if variable.0 == variable::LAST_PROGRESS_FILE {
                    order.program.files.push(file);
                }
                order.program.env.push(variable);
            }
            order.program.env.extend(properties(entry));
            let file = identity.logs.join(format!("{file_name}.{attempt}.payload"));
            let variables = payload_variables(&payload.to_string(), &file, write)?;
            if variables.iter().any(|(name, _)| name == variable::PAYLOAD_FILE) {
                order.program.files.push(file);
            }
            order.program.env.extend(variables);
        }
    }
    let own = &mut order.program.env;
    own.push((variable::OPERATION_NAME.to_owned(), planned.name.to_string()));
    own.push((variable::ATTEMPT.to_owned(), attempt.to_string()));
    if !order.program.secrets.is_empty() {
        let names: Vec<&str> = order.program.secrets.iter().map(|secret| secret.variable.as_str()).collect();
        own.push((variable::SECRETS.to_owned(), names.join(",")));
    }
    if planned.policies.log_detail.value {
        own.push((variable::LOG_LEVEL.to_owned(), "DEBUG".to_owned()));
    }
    if let Some(action) = planned.special.as_ref().and_then(|special| special.action.as_deref()) {
        own.push((variable::ACTION.to_owned(), action.to_owned()));
    }
    if let Some(id) = &planned.id {
        own.push((variable::OPERATION_ID.to_owned(), id.to_string()));
    }
    Ok(Ready { order, expected, payload: text })
}

fn exec_payload(payload: &Value) -> Result<ExecPayload, Failure> {
    let mut faults = Vec::new();
    let exec = ExecPayload::parse(payload, pop_document::Pointer::root(), &mut faults);
    exec.ok_or_else(|| {
        let said: Vec<_> =
            faults.into_iter().filter(pop_document::Fault::is_error).map(|f| f.message).collect();
        Failure::new(Blame::Handler, "payload", said.join("; "))
    })
}

/// The program of an entry: its command where processes are launched, else what its image starts.
fn program(entry: &Entry, identity: &RunIdentity) -> Program {
    let command = entry.command.as_ref().filter(|_| identity.on == LaunchType::Local);
    Program {
        argv: command.cloned().unwrap_or_default(),
        home: identity.home.clone(),
        env: entry.env_vars.clone(),
        working_directory: entry.working_directory.as_ref().map(PathBuf::from),
        secrets: entry.secrets.clone(),
        ..Program::default()
    }
}

/// How an operation's container or pod is made.
fn pod<'p>(plan: &'p Plan, planned: &'p Planned) -> &'p Arc<PodConfig> {
    match &planned.serves {
        Serves::Program(entry) => &entry.pod,
        Serves::Exec | Serves::Resident(_) | Serves::Dispatch => plan.exec_pod(),
    }
}

fn labels(identity: &RunIdentity, planned: &Planned, attempt: u32) -> Vec<(String, String)> {
    let labels = [
        (label::RUN, identity.mark.clone()),
        (label::OPERATION, planned.name.to_string()),
        (label::ATTEMPT, attempt.to_string()),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The registry's properties for a handler, as the one variable that carries them.
fn properties(entry: &Entry) -> Option<(String, String)> {
    let given: Map<String, Value> =
        entry.properties.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    (!given.is_empty()).then(|| (variable::PROPERTIES.to_owned(), Value::Object(given).to_string()))
}

/// A payload on its way to a program: plain while it is short, then compressed, then as a file.
fn payload_variables(text: &str, file: &Path, write: &Write<'_>) -> Result<Vec<(String, String)>, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Blame::Platform, "storage", format!("the payload could not be handed on: {error}"))
    };
    if text.len() <= PLAIN_LIMIT {
        return payload::encode(text, payload::PayloadRule::Plain).map_err(|error| failed(&error));
    }
    let compressed =
        payload::encode(text, payload::PayloadRule::Compressed).map_err(|error| failed(&error))?;
    if compressed.iter().map(|(_, segment)| segment.len()).sum::<usize>() <= COMPRESSED_LIMIT {
        return Ok(compressed);
    }
    write(file, text).map_err(|error| failed(&error))?;
    Ok(payload::encode_file(&file.to_string_lossy()))
}

/// The progress of an earlier attempt: plain while it is short, then as a file.
fn progress_variable(text: String, file: &Path, write: &Write<'_>) -> Result<(String, String), Failure> {
    if text.len() <= PLAIN_LIMIT {
        return Ok((variable::LAST_PROGRESS.to_owned(), text));
    }
    write(file, &text).map_err(|error| {
        Failure::new(Blame::Platform, "storage", format!("the last progress could not be handed on: {error}"))
    })?;
    Ok((variable::LAST_PROGRESS_FILE.to_owned(), file.to_string_lossy().into_owned()))
}

fn write_file(file: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

/// Judges the end of a launch.
pub(crate) fn verdict(expected: &Expected, ended: Ended) -> Verdict {
    let Ended { exit, said, stdout, log_tail } = ended;
    let is_reported = said.progress.as_ref().is_some_and(pop_registry::contract::Progress::is_succeeded);
    let has_result = said.result.is_some();
    let result = exit.and_then(|exit| {
        let result = judge(exit, &expected.success_codes, said)?;
        if expected.is_exec && !has_result { exec_result(expected, exit, &stdout) } else { Ok(result) }
    });
    let result = result.map(Arc::new).map_err(|mut failure| {
        failure.log_tail = log_tail;
        failure
    });
    Verdict { result, is_reported }
}

/// The result of a plain command: its exit status, and its output if that was to be kept.
fn exec_result(expected: &Expected, exit: Exit, stdout: &[u8]) -> Result<Value, Box<Failure>> {
    let mut result = Map::new();
    if let Exit::Code(code) = exit {
        result.insert("exitCode".to_owned(), json!(code));
    }
    match expected.capture.value(stdout) {
        Ok(Some(value)) => drop(result.insert("stdout".to_owned(), value)),
        Ok(None) => {}
        Err(error) => {
            let message = format!("its standard output cannot be read: {error}");
            return Err(Box::new(Failure::new(Blame::Handler, "contract", message)));
        }
    }
    Ok(Value::Object(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_handler_base::field_retriever::Environment;

    #[test]
    fn p10_a_payload_travels_plain_then_compressed_then_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        let noise = |length: usize| -> String {
            let mut state = 1_u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + ((state >> 40) % 90) as u8)
            };
            (0..length).map(|_| next()).collect()
        };
        for (text, wanted) in [
            ("x".repeat(PLAIN_LIMIT), "envVar"),
            ("x".repeat(PLAIN_LIMIT + 1), "compressedEnvVar"),
            (noise(2_000_000), "file"),
        ] {
            let variables = payload_variables(&text, &file, &write_file).unwrap();
            let environment = Environment::from_pairs(variables.clone());
            assert_eq!(environment.value(variable::PAYLOAD_TYPE), Some(wanted));
            let read = payload::decode(&environment, payload::MAX_PAYLOAD_BYTES).unwrap().unwrap();
            assert!(read.value == text, "{wanted}");
            assert!(variables.iter().all(|(name, value)| name.len() + value.len() < 128 * 1024));
        }
    }

    #[test]
    fn a_plain_command_has_its_exit_status_and_output_as_result() {
        let expected = Expected { is_exec: true, capture: Capture::Json, success_codes: vec![0, 3] };
        let ended = |stdout: &[u8]| Ended { stdout: stdout.to_vec(), ..Ended::exited(Exit::Code(3)) };
        let result = verdict(&expected, ended(b"{\"w\":1}")).result.unwrap();
        assert_eq!(*result, json!({"exitCode": 3, "stdout": {"w": 1}}));
        assert_eq!(verdict(&expected, ended(b"w")).result.unwrap_err().code, "contract");
    }

    #[test]
    fn numbers_of_launches_go_both_ways() {
        assert_eq!(attempt_of(launch_id(OpIx(7), 3)), (OpIx(7), 3));
        assert_eq!(attempt_of(launch_id(OpIx(u32::MAX), u32::MAX)), (OpIx(u32::MAX), u32::MAX));
    }
}
