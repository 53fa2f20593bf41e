//! The executor of an agenda: its program, its variables, and what its end means.

use crate::pulled::PulledAgenda;
use pop_contract::{ExecutorExit, Exit, Failure, LaunchType, PLAIN_PAYLOAD_LIMIT};
use pop_field_retriever::names::{environment as variable, property};
use pop_launchers::{
    LaunchEnd, LaunchOrder, Launcher, Program, StdoutUse, WriteFile, handler_program, pass_payload,
    write_private,
};
use pop_registry::Entry;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Labels by which POP counts the executors of an insight.
const INSIGHT_LABEL: &str = "pop.insightId";
const POOL_LABEL: &str = "pop.resourcePoolId";

/// The program that executes an agenda.
pub struct ExecutorProgram {
    /// The registry's entry of type `executor`; without one, `command` is started on this machine.
    pub entry: Arc<Entry>,
    /// The registry's folder.
    pub home: Option<PathBuf>,
    /// Whether the program is `pop run`, which continues the run of an earlier executor on this machine.
    pub is_pop: bool,
    /// The launcher.
    pub launcher: Arc<dyn Launcher>,
    /// How it launches.
    pub on: LaunchType,
    /// Folder for logs and payloads.
    pub folder: PathBuf,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Token with which executors report.
    pub token: Option<String>,
}

impl ExecutorProgram {
    /// The order that starts an executor. `service` is the address to which it reports.
    pub(crate) fn order(&self, pulled: &PulledAgenda, service: &str) -> Result<LaunchOrder, Failure> {
        let run = run_id(pulled);
        let file = |what: &str| self.folder.join(format!("{run}.{what}"));
        let mut program = handler_program(&self.entry, self.on, self.home.as_deref());
        if self.is_pop {
            program.argv.extend(["--run-id".to_owned(), run.clone()]);
        }
        if self.on.capabilities().has_pending_phase {
            program.pod = Some(Arc::clone(&self.entry.pod));
        }
        let write: &WriteFile<'_> = &|path: &Path, text: &str| write_private(path, text.as_bytes());
        pass_payload(&mut program, &pulled.payload, file("payload"), &self.entry, write)?;
        self.add_variables(&mut program, pulled, service, file("progress"), write)?;
        Ok(LaunchOrder {
            // each delivery is a launch of its own
            name: format!("executor-{}", plain(&pulled.lease.progress)),
            program,
            captured: StdoutUse::Log,
            grace: Some(self.grace),
            log: Some(file("log")),
            pending: self.on.capabilities().has_pending_phase.then_some(self.entry.pod.scheduled_timeout),
            labels: labels(pulled),
            ..LaunchOrder::default()
        })
    }

    fn add_variables(
        &self,
        program: &mut Program,
        pulled: &PulledAgenda,
        service: &str,
        file: PathBuf,
        write: &WriteFile<'_>,
    ) -> Result<(), Failure> {
        let ids = &pulled.ids;
        // a secret of the registry is not written into the pod
        let is_secret = self.entry.secrets.iter().any(|secret| secret.variable == variable::SERVICE_TOKEN);
        let token = self.token.as_deref().filter(|_| !is_secret);
        let all = [
            (variable::AGENDA_ID, ids.agenda.as_str()),
            (variable::CID, &ids.cid),
            (variable::CUSTOMER_ID, &ids.customer),
            (variable::PROGRESS_ID, &pulled.lease.progress),
            (variable::LOG_LEVEL, "DEBUG"),
            (variable::SERVICE_TOKEN, token.unwrap_or_default()),
        ];
        let set = all.into_iter().filter(|(_, value)| !value.is_empty());
        program.env.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
        if !program.env.iter().any(|(name, _)| name == variable::PROPERTIES) {
            let properties = json!({property::AGENDA_PROGRESS_URL: service});
            program.env.push((variable::PROPERTIES.to_owned(), properties.to_string()));
        }
        if let Some(progress) = &pulled.last_progress {
            if progress.len() <= PLAIN_PAYLOAD_LIMIT {
                program.env.push((variable::LAST_PROGRESS.to_owned(), progress.clone()));
            } else {
                write(&file, progress).map_err(|error| {
                    let message = format!("the last progress cannot be passed to the executor: {error}");
                    Failure::new(pop_contract::Blame::Platform, "storage", message)
                })?;
                let path = file.to_string_lossy().into_owned();
                program.env.push((variable::LAST_PROGRESS_FILE.to_owned(), path));
                program.files.push(file);
            }
        }
        Ok(())
    }
}

fn labels(pulled: &PulledAgenda) -> Vec<(String, String)> {
    let (insight, pool) = (&pulled.ids.insight, &pulled.ids.pool);
    if insight.is_empty() || pool.is_empty() {
        return Vec::new();
    }
    vec![(INSIGHT_LABEL.to_owned(), insight.clone()), (POOL_LABEL.to_owned(), pool.clone())]
}

/// The name of the run: the same for each delivery of a generation of the agenda. If its operations have changed
/// meanwhile, another run continues with the last progress.
fn run_id(pulled: &PulledAgenda) -> String {
    // FNV-1a; it only tells versions of one agenda apart
    let digest = pulled.payload.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let short = (digest >> 32) ^ (digest & 0xffff_ffff);
    let agenda: String = plain(&pulled.ids.agenda).chars().take(40).collect();
    format!("a{agenda}-{}-{short:08x}", pulled.lease.generation)
}

fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// What the puller does when an executor has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AfterEnd {
    /// The executor has reported the end, or the agenda is given out again when the lease ends.
    Nothing,
    /// The agenda is given back without an attempt: the executor was stopped.
    HandBack,
    /// The executor is lost.
    Lost(String),
    /// The agenda cannot run.
    Fail { message: String, code: String },
}

impl AfterEnd {
    /// The meaning of an end. The exit codes are those of `pop run`; each other program that ends by itself has reported.
    pub(crate) fn of(ended: &LaunchEnd, is_pop: bool) -> Self {
        let with_tail = |message: String| match ended.log_tail.last() {
            Some(last) => format!("{message}: {last}"),
            None => message,
        };
        // pop's own words, which name the place and the remedy below them
        let with_error = |message: String| {
            let error = ended.log_tail.iter().find(|line| line.starts_with("error"));
            error.map_or_else(|| with_tail(message.clone()), |error| format!("{message}: {error}"))
        };
        let meaning = match &ended.exit {
            Ok(Exit::Code(code)) => ExecutorExit::of((*code).into()),
            _ => ExecutorExit::Broken,
        };
        match (&ended.exit, meaning) {
            (_, ExecutorExit::Stopped) => Self::HandBack,
            (Ok(Exit::Code(code)), ExecutorExit::Refused) if is_pop => Self::Fail {
                message: with_error(format!("the executor refused the agenda (exit status {code})")),
                code: format!("exit-{code}"),
            },
            (_, ExecutorExit::Ended) => Self::Nothing,
            (Ok(exit), _) => Self::Lost(with_tail(format!("the executor ended with {exit}"))),
            (Err(failure), _) => Self::Lost(with_tail(failure.message.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_contract::Blame;

    #[test]
    fn the_end_of_an_executor_decides_what_becomes_of_the_agenda() {
        let exited = |exit| AfterEnd::of(&LaunchEnd::exited(exit), true);
        for code in [0, 10, 11, 12, 13] {
            assert_eq!(exited(Exit::Code(code)), AfterEnd::Nothing);
        }
        for code in [130, 143] {
            assert_eq!(exited(Exit::Code(code)), AfterEnd::HandBack);
        }
        for code in [2, 3, 4] {
            assert!(matches!(exited(Exit::Code(code)), AfterEnd::Fail { .. }));
        }
        let mut ended = LaunchEnd::exited(Exit::Signal(9));
        ended.log_tail = vec!["first".into(), "last".into()];
        assert_eq!(
            AfterEnd::of(&ended, true),
            AfterEnd::Lost("the executor ended with signal SIGKILL: last".into())
        );
        let mut refused = LaunchEnd::exited(Exit::Code(3));
        refused.log_tail = vec!["error[unknown-type]: type `x`".into(), "1 fault".into()];
        let message =
            "the executor refused the agenda (exit status 3): error[unknown-type]: type `x`".to_owned();
        assert_eq!(AfterEnd::of(&refused, true), AfterEnd::Fail { message, code: "exit-3".into() });
        let failed = LaunchEnd::failed(Failure::new(Blame::Platform, "spawn", "not found"));
        assert_eq!(AfterEnd::of(&failed, false), AfterEnd::Lost("not found".into()));
        assert!(matches!(exited(Exit::Code(14)), AfterEnd::Lost(_)));
    }

    #[test]
    fn a_run_keeps_its_name_until_the_agenda_changes() {
        let mut pulled = PulledAgenda {
            payload: "{}".into(),
            last_progress: None,
            ids: crate::pulled::AgendaIds { agenda: "a b/ü".repeat(20), ..Default::default() },
            lease: crate::pulled::Lease { progress: "p~1".into(), generation: 1, length: None },
        };
        let first = run_id(&pulled);
        pulled.lease.progress = "p~2".into();
        assert_eq!(run_id(&pulled), first);
        assert!(first.len() <= 63 && first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        pulled.lease.generation = 2;
        let second = run_id(&pulled);
        pulled.payload = "{ }".into();
        assert!(first != second && second != run_id(&pulled));
    }
}
