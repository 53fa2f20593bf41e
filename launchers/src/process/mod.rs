//! The local launcher: a program as a direct child of this process.
//!
//! [`resolve`] finds the program once. [`Environment`] prepares its variables once. [`spawn`] starts it as
//! often as needed, at the cost of a bare `posix_spawn`. [`ProcessLauncher`] does this for orders and follows
//! each child to its end.

mod control;
mod descendants;
mod environment;
mod failure;
mod follow;
mod guard;
mod identity;
mod launcher;
mod memory;
mod orphans;
mod pause;
mod pipes;
mod prepared;
mod processor;
mod resolve;
mod running;
mod shared;
mod spawn;
mod termination;

pub use environment::{Environment, EnvironmentError};
pub use guard::stand_guard;
pub use identity::executor_identity;
pub use launcher::ProcessLauncher;
pub use memory::MemoryKills;
pub use orphans::{EXECUTOR_VARIABLE, LAUNCH_VARIABLE, end_run, left_by, sweep_run};
pub use resolve::{ResolveError, resolve, resolve_beside};
pub use rustix::process::Signal;
pub use spawn::{
    AsyncDescriptor, Child, ChildEnd, Descriptor, ExecutorSocket, Exit, SOCKET_DESCRIPTOR, Spawn, SpawnError,
    Step, Usage, ignore_file_size_signal, spawn,
};
