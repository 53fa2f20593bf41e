//! `pop wait`: waits for the end of a run, and exits with its exit code.

use super::run_watch::wait_for_end;
use super::saved_run::{closing, read_folder};
use crate::args::WaitArgs;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_executor::RunFolder;

pub(crate) fn wait(args: &WaitArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    // another executor may resume the run
    while let Some(executor) = folder.executor() {
        wait_for_end(&executor)?;
    }
    let remote = folder.remote_executor();
    let saved = read_folder(folder)?;
    let run = saved.folder.run();
    match (saved.history.ended, remote) {
        (Some((_, outcome)), _) => {
            ui::say(&closing(&saved));
            Ok(outcome.exit_code())
        }
        (None, Some(owner)) => {
            let message = format!("run {run} cannot be awaited from here: its executor is or was {owner}");
            Err(CommandError::new(Kind::Journal, message).hint("run `pop wait` on that host"))
        }
        (None, None) => {
            let message = format!("run {run} has no end: its executor died");
            Err(CommandError::new(Kind::Journal, message).hint(format!("`pop resume {run}` continues it")))
        }
    }
}
