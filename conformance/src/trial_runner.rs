//! Carries out a trial with the process launcher; every wait has a deadline.

use crate::error::ConformanceError;
use crate::expect::Expect;
use crate::launch_record::LaunchRecord;
use crate::subject::Subject;
use crate::trial::Trial;
use pop_contract::{Blame, Description, FinalReport, HANDLER_COMPLETE};
use pop_launchers::process::{LAUNCH_VARIABLE, end_run};
use pop_launchers::{
    LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, ProcessLauncher, Program,
    StdoutUse,
};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Time without a progress report after which a program gets SIGTERM anyway.
const UNHEARD: Duration = Duration::from_secs(1);
/// Time that the system gets to end a killed process.
const KILLED: Duration = Duration::from_secs(10);
/// Time that processes get to end by themselves after their program.
const LEAVING: Duration = Duration::from_secs(1);

/// Runs trials in a temporary folder. Dropping it deletes the folder and kills everything started in it.
pub(crate) struct TrialRunner<'s> {
    subject: &'s Subject,
    folder: TempDir,
    run: String,
    launches: Cell<u32>,
    /// Whether a launch has left processes behind; later launches do not wait for such processes.
    has_left: Cell<bool>,
}

impl<'s> TrialRunner<'s> {
    pub(crate) fn open(subject: &'s Subject) -> Result<Self, ConformanceError> {
        let folder = tempfile::Builder::new().prefix("pop-check-").tempdir()?;
        let run = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { subject, folder, run, launches: Cell::new(0), has_left: Cell::new(false) })
    }

    /// The run that every launch belongs to.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Carries out a trial of a check.
    pub(crate) async fn launch(&self, check: &str, trial: &Trial) -> Result<LaunchRecord, ConformanceError> {
        self.launches.set(self.launches.get() + 1);
        let name = format!("{}-{check}-{}", self.run, self.launches.get());
        let folder = self.folder.path().join(&name);
        fs::create_dir(&folder)?;
        for (file, content) in &trial.files {
            fs::write(folder.join(file), content.bytes(&folder).as_encoded_bytes())?;
        }
        let (ended, late, was_asked) = self.follow(trial, &name, &folder).await?;
        // a folder that cannot be removed now is removed with its parent
        fs::remove_dir_all(&folder).ok();
        let mut ended = ended;
        // notes of the launcher about stopped processes
        ended.log_tail.retain(|line| !line.starts_with("pop: "));
        let is_silent = ended.log_tail.is_empty();
        let left = ended.left;
        self.has_left.set(self.has_left.get() || left > 0);
        let mut seen =
            LaunchRecord { exit: ended.exit, late, was_asked, is_silent, left, ..LaunchRecord::default() };
        if trial.is_asked_to_stop {
            seen.said = FinalReport { breaches: Vec::new(), ..ended.said };
        } else {
            seen.faults = ended.said.breaches;
            seen.read(&ended.stdout);
            if trial.expect == Expect::Description {
                let described = Description::parse(&ended.stdout);
                seen.described = described.map_err(|error| error.to_string());
            }
        }
        seen.log = ended.log_tail;
        match &seen.exit {
            Err(failure) if failure.blame != Blame::Handler => {
                Err(ConformanceError::Machine(failure.message.clone()))
            }
            _ => Ok(seen),
        }
    }

    /// Follows a launch to its end. Returns the end, the limit that it exceeded, and whether it received SIGTERM.
    async fn follow(
        &self,
        trial: &Trial,
        name: &str,
        folder: &Path,
    ) -> Result<(LaunchEnd, Option<Duration>, bool), ConformanceError> {
        let (launcher, order) = self.prepare(trial, name, folder);
        let (sender, mut events) = mpsc::channel(16);
        let id = LaunchId(0);
        let start = Instant::now();
        let Subject { limit, grace, .. } = *self.subject;
        launcher.launch(id, order, &sender);
        let mut is_asked = false;
        let mut late = None;
        let mut ask_at = trial.is_asked_to_stop.then(|| start + UNHEARD.min(limit / 2));
        let mut due = start + limit;
        loop {
            let heard = tokio::select! {
                biased;
                heard = events.recv() => heard.map(|launched: LaunchUpdate| launched.event),
                () = sleep_until(ask_at.unwrap_or(due)), if ask_at.is_some() => Some(LaunchEvent::Silent),
                () = sleep_until(due) => {
                    if late.is_some() {
                        let words = format!("`{}` was killed but does not end", self.subject.argv.join(" "));
                        return Err(ConformanceError::Machine(words));
                    }
                    late = Some(if is_asked { grace } else { limit });
                    due = Instant::now() + KILLED;
                    launcher.stop(id, true);
                    continue;
                }
            };
            match heard {
                Some(LaunchEvent::Ended(ended)) => return Ok((*ended, late, is_asked)),
                Some(LaunchEvent::Progress(_) | LaunchEvent::Silent) if ask_at.take().is_some() => {
                    is_asked = true;
                    due = Instant::now() + grace;
                    launcher.stop(id, false);
                }
                Some(LaunchEvent::Lost) | None => {
                    return Err(ConformanceError::Machine("a launch was lost".to_owned()));
                }
                Some(_) => {}
            }
        }
    }

    /// A launcher with the trial's variables and no others, and the order.
    fn prepare(&self, trial: &Trial, name: &str, folder: &Path) -> (ProcessLauncher, LaunchOrder) {
        let path = self.subject.path.iter().map(|path| ("PATH".into(), path.clone()));
        let variables = trial.variables.iter().map(|(name, content)| (name.into(), content.bytes(folder)));
        let own = [(LAUNCH_VARIABLE.into(), OsString::from(name))];
        let launcher = ProcessLauncher::new(path.chain(variables).chain(own), folder.to_owned()).thorough();
        // leftovers may be about to end; once a launch left some, later launches do not wait
        let grace = Some(if self.has_left.get() { Duration::ZERO } else { LEAVING });
        // a program that gets SIGTERM must be heard while it runs; the output of others is parsed as printed
        let captured = if trial.is_asked_to_stop { StdoutUse::Nothing } else { StdoutUse::Whole };
        let program = Program { argv: trial.argv(self.subject), ..Program::default() };
        (launcher, LaunchOrder { name: name.to_owned(), program, captured, grace, ..LaunchOrder::default() })
    }
}

impl Drop for TrialRunner<'_> {
    fn drop(&mut self) {
        // an aborted examination leaves no process behind either
        end_run(&self.run);
    }
}

/// Whether a log ends like that of a program that takes launch data.
pub(crate) fn is_marked(log: &[String]) -> bool {
    log.last().is_some_and(|line| line.ends_with(HANDLER_COMPLETE))
}
