//! The program of a handler that works outside of a run, checked, with its launcher.

use super::go::{guard_of, reach};
use super::handlers::{checked_handlers, unknown_type};
use crate::args::{LaunchArgs, RegistryArgs, StrictArg};
use crate::error::{CommandError, Kind};
use crate::launch_data::{launch_data, surroundings};
use pop_assembly::{NotServable, ServedHandler};
use pop_field_retriever::LaunchDataWrapper as _;
use pop_launchers::process::executor_identity;
use pop_launchers::{HandlerProgram, choose};
use pop_registry::Catalog;
use std::time::Duration;

/// Where a program comes from, and how it starts.
pub(super) struct ProgramSource<'a> {
    /// Type of its handler.
    pub(super) handler_type: &'a str,
    /// Where handlers are declared.
    pub(super) registry: &'a RegistryArgs,
    /// How it starts.
    pub(super) launch: &'a LaunchArgs,
    /// The run that its containers belong to.
    pub(super) mark: String,
    /// Time between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
}

/// Looks the program up, checks it, and connects to its Engine.
pub(super) fn handler_program(source: ProgramSource<'_>) -> Result<HandlerProgram, CommandError> {
    let ProgramSource { handler_type, registry, launch, mark, grace } = source;
    let launch = launch_data(launch, StrictArg::default())?;
    let surroundings = surroundings()?;
    let on = launch.external_launch_type().value;
    if !on.capabilities().reads_host_files {
        let message = "a handler is served as processes or containers of this machine, not as pods";
        return Err(CommandError::new(Kind::Usage, message).hint("omit `--on`, or write `--on docker`"));
    }
    let known = checked_handlers(registry, &launch, &surroundings)?;
    let executor = executor_identity();
    // pid and start time: no other process of this boot has both
    let process: Vec<&str> = executor.split('-').take(2).collect();
    let launch_name = format!("{mark}-{}", process.join("-"));
    let handler = ServedHandler::of(&known, handler_type, (&mark, &executor), on, &surroundings, &launch);
    let ServedHandler { entry, home, mut setting } =
        handler.map_err(|error| not_servable(error, handler_type, &known.catalog))?;
    reach(&launch, &surroundings)?;
    setting.guard_command = Some(guard_of(&executor));
    setting.grace = Some(grace);
    let launcher = choose(on, setting);
    Ok(HandlerProgram { entry, launcher, on, home, mark, launch_name, variables: Vec::new() })
}

/// A mark of all processes with a name and a place on this machine, and of no others that use the same Docker Engine.
pub(super) fn program_mark(name: &str, place: &[u8]) -> String {
    let machine = rustix::system::uname();
    let place = [machine.nodename().to_bytes(), place].join(&0);
    format!("{name}-{}", &blake3::hash(&place).to_hex()[..12])
}

fn not_servable(error: NotServable, handler_type: &str, catalog: &Catalog) -> CommandError {
    let words = error.to_string();
    match error {
        NotServable::Settings(error) => error.into(),
        NotServable::Unknown(_) => unknown_type(handler_type, catalog),
        NotServable::BuiltIn(_) => CommandError::new(Kind::Usage, words),
        NotServable::Missing { .. } | NotServable::Program(..) | NotServable::Secret(..) => {
            CommandError::new(Kind::Registry, words)
        }
    }
}
