//! Queries a program for its description: starts the program with `--describe`, and stops it if it does not answer.

use crate::surroundings::Surroundings;
use pop_contract::Exit;
use pop_launchers::{LaunchEvent, LaunchId, LaunchOrder, Launcher as _, ProcessLauncher, Program, StdoutUse};
use std::time::Duration;
use tokio::sync::mpsc;

/// Longest time that a program may take to describe itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The standard output of a program that describes itself.
pub(crate) fn query(program: Program, surroundings: &Surroundings) -> Result<Vec<u8>, String> {
    // the caller may run in an event loop, and a thread cannot run two of them
    let thread = std::thread::Builder::new().name("describe".to_owned());
    std::thread::scope(|scope| {
        let thread = thread.spawn_scoped(scope, || query_on_this_thread(program, surroundings));
        let thread = thread.map_err(|error| format!("cannot be queried: {error}"))?;
        thread.join().unwrap_or_else(|_| Err("could not be followed".to_owned()))
    })
}

fn query_on_this_thread(program: Program, surroundings: &Surroundings) -> Result<Vec<u8>, String> {
    let launcher = ProcessLauncher::new(surroundings.for_programs(), surroundings.folder.clone());
    let order = LaunchOrder {
        name: "describe".to_owned(),
        program,
        captured: StdoutUse::Whole,
        ..LaunchOrder::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot be queried: {error}"))?;
    let ended = runtime.block_on(async {
        let (sender, mut updates) = mpsc::channel(8);
        launcher.launch(LaunchId(0), order, &sender);
        let end = async {
            loop {
                match updates.recv().await?.event {
                    LaunchEvent::Ended(ended) => return Some(ended),
                    LaunchEvent::Lost | LaunchEvent::Late(_) => return None,
                    _ => {}
                }
            }
        };
        tokio::pin!(end);
        let ended = tokio::time::timeout(ANSWER_LIMIT, &mut end).await;
        if ended.is_err() {
            launcher.stop(LaunchId(0), true);
            end.await;
        }
        ended
    });
    let ended = ended.map_err(|_| format!("did not answer within {} seconds", ANSWER_LIMIT.as_secs()))?;
    let ended = ended.ok_or("could not be followed")?;
    match ended.exit {
        Ok(Exit::Code(0)) => Ok(ended.stdout),
        Ok(exit) => {
            let last = ended.log_tail.last().map(|line| format!(": {line}")).unwrap_or_default();
            Err(format!("ended with {exit}{last}"))
        }
        Err(failure) => Err(failure.message),
    }
}
