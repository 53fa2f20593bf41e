//! Attempts run by programs: an attempt is encoded as a launch, and the end of a launch is judged.

use super::input_files::{self, InputFiles, Write};
use super::{AttemptOrder, AttemptRunner, launch_id};
use crate::named_files::{AttemptFiles, FileFinder, FilesBefore};
use crate::run_identity::RunIdentity;
use pop_agenda::{OpIx, Plan, PlannedOperation, Serves, Verdict};
use pop_contract::{Blame, Exit, Failure, HANDLER_COMPLETE, PLAIN_PAYLOAD_LIMIT, judge};
use pop_document::Fault;
use pop_handler_base::field_retriever::names::environment as variable;
use pop_launchers::{
    Doing, LaunchEnd, LaunchId, LaunchOrder, LaunchUpdate, Launcher, PreparedLaunch, Program, StdoutUse,
    WarmOrder, handler_program, label, pass_payload,
};
use pop_registry::{Capture, Entry, ExecPayload, PodConfig, WarmSettings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Progress up to this length (bytes) is passed in a variable.
const PLAIN_LIMIT: usize = PLAIN_PAYLOAD_LIMIT;

/// Facts about a launch that decide whether its end is a success.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    is_exec: bool,
    capture: Capture,
    success_codes: Vec<i32>,
    /// State of the files that the operation names, before the launch.
    files: FilesBefore,
}

/// Runs attempts of operations whose handler is a program: as a process, a container or a pod.
pub(super) struct ProgramRunner {
    launcher: Arc<dyn Launcher>,
    identity: RunIdentity,
    named_files: AttemptFiles,
    /// The expected output and exit statuses of each launch.
    expected: BTreeMap<LaunchId, Expected>,
}

impl ProgramRunner {
    pub(super) fn new(launcher: Arc<dyn Launcher>, identity: RunIdentity) -> Self {
        let RunIdentity { on, home, start, .. } = identity.clone();
        let named_files = AttemptFiles::new(FileFinder { on, home, start });
        Self { launcher, identity, named_files, expected: BTreeMap::new() }
    }
}

impl AttemptRunner for ProgramRunner {
    fn start(
        &mut self,
        id: LaunchId,
        attempt: &AttemptOrder<'_>,
        events: &mpsc::Sender<LaunchUpdate>,
    ) -> Result<Option<Box<dyn PreparedLaunch>>, Failure> {
        let (order, expected) = launch_order(&self.identity, attempt, &input_files::writer(attempt.again))?;
        let files = self.named_files.before(attempt.plan.operation(attempt.op), attempt.payload);
        self.expected.insert(id, Expected { files, ..expected });
        Ok(self.launcher.prepare(id, order, events))
    }

    fn stop(&self, id: LaunchId, force: bool) {
        self.launcher.stop(id, force);
    }

    fn verdict(&mut self, id: LaunchId, ended: LaunchEnd) -> Verdict {
        let expected = self.expected.remove(&id).unwrap_or_default();
        let mut verdict = verdict(&expected, ended);
        if verdict.result.is_ok() {
            verdict.named_files = self.named_files.after(expected.files);
        }
        verdict
    }

    fn forget(&mut self, id: LaunchId) {
        self.expected.remove(&id);
    }

    fn settle(&self) -> Doing<'static, ()> {
        let launcher = Arc::clone(&self.launcher);
        Box::pin(async move { launcher.settle().await })
    }

    fn pause(&self) {
        self.launcher.pause();
    }

    fn resume(&self, paused: Duration) {
        self.launcher.resume(paused);
    }

    fn release(&self, id: LaunchId) {
        self.launcher.release(id);
    }

    fn close(&self) -> Doing<'static, ()> {
        let launcher = Arc::clone(&self.launcher);
        Box::pin(async move { launcher.close().await })
    }
}

/// The launch order of an operation's first attempt, as known before the run: references are not replaced, and no file
/// is written.
pub fn preview(plan: &Plan, identity: &RunIdentity, op: OpIx) -> Result<(LaunchId, LaunchOrder), Failure> {
    let payload = plan.operation(op).payload.template();
    let attempt = AttemptOrder::new(plan, identity, op, 1, payload);
    Ok((launch_id(op, 1), launch_order(identity, &attempt, &|_, _| Ok(()))?.0))
}

/// Encodes an attempt as the launch of a program: payload, prior progress and names become variables or files.
fn launch_order(
    identity: &RunIdentity,
    attempt: &AttemptOrder<'_>,
    write: &Write<'_>,
) -> Result<(LaunchOrder, Expected), Failure> {
    let AttemptOrder { plan, op, payload, limits, .. } = *attempt;
    let planned = plan.operation(op);
    let mut order = LaunchOrder {
        name: attempt.name.clone(),
        log: Some(attempt.log.clone()),
        limit: limits.run,
        silence: limits.silence,
        again: attempt.again,
        grace: attempt.limits.grace,
        ..LaunchOrder::default()
    };
    if plan.capabilities(op).has_pending_phase {
        order.labels = labels(identity, planned, attempt.number);
        let pod = pod(plan, planned);
        order.pending = Some(limits.pending.unwrap_or(pod.scheduled_timeout));
        order.silence = order.silence.or(pod.stdout_timeout);
        order.program.pod = Some(Arc::clone(pod));
    }
    let mut expected = Expected::default();
    match &planned.serves {
        Serves::Exec => {
            let exec = exec_payload(payload, planned.payload.template())?;
            expected = Expected {
                is_exec: true,
                capture: exec.capture,
                success_codes: exec.success_codes,
                ..expected
            };
            let mut files = InputFiles::new(attempt, write);
            order.program = Program {
                argv: exec.command.into_iter().map(|text| files.text(text)).collect::<Result<_, _>>()?,
                env: exec
                    .env
                    .into_iter()
                    .map(|(name, text)| Ok((name, files.text(text)?)))
                    .collect::<Result<_, Failure>>()?,
                stdin: exec.stdin.map(|text| files.stdin(&text)).transpose()?,
                files: files.written,
                working_directory: exec.working_directory.map(PathBuf::from),
                image: exec.image,
                cpu: planned.policies.cpu(exec.cpu),
                memory: planned.policies.memory(exec.memory),
                ..order.program
            };
            order.captured = match expected.capture {
                Capture::Nothing if exec.ignores_reports => StdoutUse::Log,
                Capture::Nothing => StdoutUse::Nothing,
                capture => StdoutUse::Value(capture),
            };
            order.success.clone_from(&expected.success_codes);
        }
        Serves::Program(entry) => {
            order.program = Program {
                pod: order.program.pod.take(),
                cpu: planned.policies.cpu(None),
                memory: planned.policies.memory(None),
                ..handler_program(entry, identity.on, identity.home.as_deref())
            };
            let mut variables = operation_variables(identity, attempt);
            variables.extend(prior_progress(&mut order.program, attempt, write)?);
            match entry.warm.filter(|_| identity.on.capabilities().no_warm_instances.is_none()) {
                Some(settings) => {
                    // instances have no file of one attempt
                    let files = std::mem::take(&mut order.program.files);
                    let mut warm = warm_order(settings, attempt, entry, variables, files);
                    if !identity.on.capabilities().uses_host_programs {
                        warm.variables.iter_mut().for_each(|variable| inline_progress(variable, attempt));
                    }
                    order.warm = Some(Box::new(warm));
                }
                None => {
                    let text = attempt.payload.to_string();
                    let file = attempt.log.with_extension("payload");
                    pass_payload(&mut order.program, &text, file, entry, write)?;
                    order.program.env.extend(variables);
                }
            }
        }
        // a resident handler runs inside the executor; the others launch only their parts
        Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => {}
    }
    if !matches!(planned.serves, Serves::Program(_)) {
        order.program.env.extend(operation_variables(identity, attempt));
    }
    Ok((order, expected))
}

/// The variable with the progress of an earlier attempt.
fn prior_progress(
    program: &mut Program,
    attempt: &AttemptOrder<'_>,
    write: &Write<'_>,
) -> Result<Option<(String, String)>, Failure> {
    let Some(prior) = attempt.prior.and_then(|prior| serde_json::to_string(prior).ok()) else {
        return Ok(None);
    };
    let file = attempt.log.with_extension("progress");
    let variable = progress_variable(prior, &file, write)?;
    if variable.0 == variable::LAST_PROGRESS_FILE {
        program.files.push(file);
    }
    Ok(Some(variable))
}

/// Replaces the name of a file with the progress of an earlier attempt by its text. A container has no mount for the file
/// of one attempt, and frames have room for the text.
fn inline_progress(variable: &mut (String, String), attempt: &AttemptOrder<'_>) {
    let text = attempt.prior.and_then(|prior| serde_json::to_string(prior).ok());
    if let Some(text) = text.filter(|_| variable.0 == variable::LAST_PROGRESS_FILE) {
        *variable = (variable::LAST_PROGRESS.to_owned(), text);
    }
}

/// How an instance of a warm handler serves an attempt. `files` are for a program that is run once instead.
fn warm_order(
    settings: WarmSettings,
    attempt: &AttemptOrder<'_>,
    entry: &Arc<Entry>,
    variables: Vec<(String, String)>,
    files: Vec<PathBuf>,
) -> WarmOrder {
    let payload: Arc<str> = attempt.payload.to_string().into();
    let run_once = {
        let (payload, variables) = (Arc::clone(&payload), variables.clone());
        let file = attempt.log.with_extension("payload");
        let (entry, write) = (Arc::clone(entry), input_files::writer(attempt.again));
        move |order: &mut LaunchOrder| {
            order.program.files.extend(files.iter().cloned());
            pass_payload(&mut order.program, &payload, file.clone(), &entry, &write)?;
            order.program.env.extend(variables.iter().cloned());
            Ok(())
        }
    };
    WarmOrder {
        settings,
        handler: entry.id.clone(),
        version: entry.version.clone(),
        subject: u64::from(attempt.op.0),
        lane: None,
        variables,
        payload: Some(payload),
        run_once: Arc::new(run_once),
    }
}

/// The variables with the names of the operation and the attempt, and with its trace context.
fn operation_variables(identity: &RunIdentity, attempt: &AttemptOrder<'_>) -> Vec<(String, String)> {
    let planned = attempt.plan.operation(attempt.op);
    let mut variables = vec![
        (variable::OPERATION_NAME.to_owned(), planned.name.to_string()),
        (variable::ATTEMPT.to_owned(), attempt.number.to_string()),
    ];
    variables.extend(identity.trace.variables(attempt.op, attempt.number));
    if planned.policies.log_detail.value {
        variables.push((variable::LOG_LEVEL.to_owned(), "DEBUG".to_owned()));
    }
    if let Some(action) = planned.rare.as_ref().and_then(|rare| rare.action.as_deref()) {
        variables.push((variable::ACTION.to_owned(), action.to_owned()));
    }
    if let Some(id) = &planned.id {
        variables.push((variable::OPERATION_ID.to_owned(), id.to_string()));
    }
    variables
}

fn exec_payload(payload: &Value, template: &Value) -> Result<ExecPayload, Failure> {
    let mut faults = Vec::new();
    let exec = ExecPayload::parse(payload, template, pop_document::Pointer::root(), &mut faults);
    exec.ok_or_else(|| {
        let words = |fault: Fault| match fault.hint {
            Some(hint) => format!("{} ({hint})", fault.message),
            None => fault.message,
        };
        let said: Vec<_> = faults.into_iter().filter(Fault::is_error).map(words).collect();
        Failure::new(Blame::Handler, "payload", said.join("; "))
    })
}

/// The settings of an operation's container or pod.
fn pod<'p>(plan: &'p Plan, planned: &'p PlannedOperation) -> &'p Arc<PodConfig> {
    match &planned.serves {
        Serves::Program(entry) => &entry.pod,
        Serves::Exec | Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => plan.exec_pod(),
    }
}

fn labels(identity: &RunIdentity, planned: &PlannedOperation, attempt: u32) -> Vec<(String, String)> {
    let labels = [
        (label::RUN, identity.mark.clone()),
        (label::OPERATION, planned.name.to_string()),
        (label::ATTEMPT, attempt.to_string()),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The progress of an earlier attempt: in a variable if it is short, else in a file.
fn progress_variable(text: String, file: &Path, write: &Write<'_>) -> Result<(String, String), Failure> {
    if text.len() <= PLAIN_LIMIT {
        return Ok((variable::LAST_PROGRESS.to_owned(), text));
    }
    write(file, &text).map_err(|error| {
        Failure::new(Blame::Platform, "storage", format!("the last progress cannot be passed on: {error}"))
    })?;
    Ok((variable::LAST_PROGRESS_FILE.to_owned(), file.to_string_lossy().into_owned()))
}

/// Decides whether an ended launch succeeded or failed.
pub(super) fn verdict(expected: &Expected, ended: LaunchEnd) -> Verdict {
    let LaunchEnd { exit, said, captured, log_tail, instance, usage, .. } = ended;
    let is_reported = said.progress.as_ref().is_some_and(pop_contract::Progress::is_succeeded);
    let has_result = said.result.is_some();
    let result = exit.and_then(|exit| {
        let result = judge(exit, &expected.success_codes, said)?;
        Ok(if expected.is_exec && !has_result { exec_result(exit, captured) } else { result })
    });
    let result = result.map(Arc::new).map_err(|mut failure| {
        failure.log_tail = log_tail;
        // the mark of a toolkit handler's end tells nothing about the failure
        failure.log_tail.pop_if(|line| line == HANDLER_COMPLETE);
        failure
    });
    Verdict { result, is_reported, named_files: Arc::default(), instance, usage }
}

/// The result of a command of type `exec`: the exit status, and the output if the payload captures it.
fn exec_result(exit: Exit, captured: Option<Value>) -> Value {
    let mut result = Map::new();
    if let Exit::Code(code) = exit {
        result.insert("exitCode".to_owned(), json!(code));
    }
    if let Some(captured) = captured {
        result.insert("stdout".to_owned(), captured);
    }
    Value::Object(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_command_has_its_exit_status_and_output_as_result() {
        let expected = Expected {
            is_exec: true,
            capture: Capture::Json,
            success_codes: vec![0, 3],
            ..Expected::default()
        };
        let ended = LaunchEnd { captured: Some(json!({"w": 1})), ..LaunchEnd::exited(Exit::Code(3)) };
        let result = verdict(&expected, ended).result.unwrap();
        assert_eq!(*result, json!({"exitCode": 3, "stdout": {"w": 1}}));
    }
}
