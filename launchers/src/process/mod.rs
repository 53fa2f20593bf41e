//! The local launcher: a program as a direct child of this process.
//!
//! [`resolve`] finds the program once, [`Environment`] prepares its variables once, [`spawn`] starts it
//! as often as wanted at the price of a bare `posix_spawn`; [`ProcessLauncher`] does this for orders and follows
//! each child to its end.

mod environment;
mod failure;
mod follow;
mod launcher;
mod memory;
mod orphans;
mod resolve;
mod spawn;

pub use environment::{Environment, EnvironmentError};
pub use launcher::ProcessLauncher;
pub use memory::MemoryKills;
pub use orphans::{EXECUTOR_VARIABLE, LAUNCH_VARIABLE, left_by, stand_guard, sweep_run};
pub use resolve::{ResolveError, resolve};
pub use rustix::process::Signal;
pub use spawn::{Child, Ended, Exit, Spawn, SpawnError, Step, Usage, Watchable, Watched, spawn};
