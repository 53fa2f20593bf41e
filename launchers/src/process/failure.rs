//! Failures shown to users when a program cannot be started or followed.

use super::{SpawnError, Step};
use crate::port::Program;
use pop_contract::{Blame, Failure};
use rustix::io::Errno;
use std::io;

/// A program that could not be started for a reason that its author can fix.
pub(super) fn not_started(program: &Program, why: &str) -> Failure {
    Failure::new(Blame::Handler, "spawn", format!("`{}` could not be started: {why}", name(program)))
}

/// A program for which this machine lacks the resources.
pub(super) fn no_resources(program: &Program, error: &io::Error) -> Failure {
    Failure::new(
        Blame::Platform,
        "resources",
        format!("not enough resources to start `{}`: {error}", name(program)),
    )
}

/// A program that the kernel did not start.
pub(super) fn refused(program: &Program, error: SpawnError) -> Failure {
    let source = error.source;
    match (error.step, source) {
        (_, Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
            no_resources(program, &source.into())
        }
        (Step::WorkingDirectory, _) => {
            let folder = program.working_directory.as_deref().unwrap_or_else(|| ".".as_ref());
            not_started(program, &format!("its working directory `{}`: {source}", folder.display()))
        }
        _ => not_started(program, &format!("{error}: {source}")),
    }
}

/// A program that cannot be signalled, or does not end after SIGKILL.
pub(super) fn not_stopped(program: &Program, error: &io::Error) -> Failure {
    let message = format!("`{}` cannot be stopped: {error}", name(program));
    Failure::new(Blame::Platform, "not-stopped", message)
}

/// A program whose end cannot be observed any more.
pub(super) fn lost(error: &io::Error) -> Failure {
    Failure::new(Blame::Platform, "lost", format!("the process can no longer be followed: {error}"))
}

fn name(program: &Program) -> &str {
    program.argv.first().map(String::as_str).unwrap_or_default()
}
