//! Commands, one file each, and their dispatch.

mod cache;
mod check;
mod dlq;
mod elsewhere;
mod explain;
mod go;
mod handler;
mod handlers;
mod inputs;
mod logs;
mod manifests;
mod new;
mod operation_words;
mod plan;
mod reload;
mod replay;
mod resume;
mod run;
mod runs;
mod saved_run;
mod show;
mod signals;
mod verify;

use crate::args::{Cli, Command, HandlerCommand, grammar};
use crate::error::{CommandError, Kind};
use crate::ui;

/// Performs a command and returns the exit code.
pub(crate) fn perform(cli: Cli) -> Result<u8, CommandError> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Inputs(args) => inputs::inputs(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Show(args) => show::show(&args),
        Command::Logs(args) => logs::logs(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Dlq { command } => dlq::dlq(&command),
        Command::Cache { command } => cache::cache(&command),
        Command::Verify(args) => verify::verify(&args),
        Command::Handlers(args) => handlers::handlers(&args),
        Command::Handler { command: HandlerCommand::Check(args) } => handler::check(&args),
        Command::New(args) => new::new(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(
                shell,
                &mut <crate::args::Cli as clap::CommandFactory>::command(),
                "pop",
                &mut script,
            );
            ui::print_bytes(&script);
            Ok(0)
        }
        Command::Guard { executor } => {
            pop_launchers::process::stand_guard(&executor);
            Ok(0)
        }
        Command::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(grammar()).render(&mut page);
            rendered.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))?;
            ui::print_bytes(&page);
            Ok(0)
        }
    }
}
