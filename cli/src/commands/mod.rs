//! Commands, one file each, and their dispatch.

mod cache;
mod cancel;
mod check;
mod dlq;
mod earlier_runs;
mod elsewhere;
mod explain;
mod file_lines;
mod go;
mod handler;
mod handler_ctl;
mod handler_program;
mod handler_serve;
mod handlers;
mod http_pages;
mod inputs;
mod logs;
mod machine;
mod man;
mod manifests;
mod new;
mod operation_words;
mod operator;
mod plan;
mod prune;
mod pull;
mod reap;
mod reload;
mod replay;
mod report;
mod rerun;
mod resume;
mod run;
mod run_traces;
mod run_watch;
mod runs;
mod saved_run;
mod serve;
mod service_report;
mod show;
mod signals;
mod traces;
mod verify;
mod wait;
mod watch;

use crate::args::{Cli, Command, HandlerCommand};
use crate::completion;
use crate::error::CommandError;
use crate::ui;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

/// Sets the time of modification to now and keeps the time of access.
const MODIFIED_NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

/// Performs a command and returns the exit code.
pub(crate) fn perform(cli: Cli) -> Result<u8, CommandError> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Inputs(args) => inputs::inputs(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::Rerun(args) => rerun::rerun(&args),
        Command::Cancel(args) => cancel::cancel(&args),
        Command::Wait(args) => wait::wait(&args),
        Command::Watch(args) => watch::watch(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Show(args) => show::show(&args),
        Command::Logs(args) => logs::logs(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Report(args) => report::report(&args),
        Command::Prune(args) => prune::prune(&args),
        Command::Dlq { command } => dlq::dlq(&command),
        Command::Cache { command } => cache::cache(&command),
        Command::Traces { command } => traces::traces(&command),
        Command::Verify(args) => verify::verify(&args),
        Command::Handlers(args) => handlers::handlers(&args),
        Command::Handler { command: HandlerCommand::Check(args) } => handler::check(&args),
        Command::Handler { command: HandlerCommand::Serve(args) } => handler_serve::serve(&args),
        Command::Handler { command: HandlerCommand::Ctl(args) } => handler_ctl::control(&args),
        Command::Operator { command } => operator::operator(&command),
        Command::Serve(args) => serve::serve(&args),
        Command::Pull(args) => pull::pull(&args),
        Command::Reap(args) => reap::reap(&args),
        Command::New(args) => new::new(&args),
        Command::Completions { shell } => {
            ui::print_bytes(&completion::script(shell));
            Ok(0)
        }
        Command::Guard { executor, mark } => {
            pop_launchers::process::stand_guard(&executor);
            if let Some(file) = mark {
                // without the mark, the run seems to have ended with its last event
                utimensat(CWD, file, &MODIFIED_NOW, AtFlags::SYMLINK_NOFOLLOW).ok();
            }
            Ok(0)
        }
        Command::Man { into } => man::man(into.as_deref()),
    }
}
