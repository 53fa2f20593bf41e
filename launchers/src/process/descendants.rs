//! The descendants of programs, as the follower of a child sees them.

use super::orphans::Leftover;
use super::{Child, ChildEnd};
use std::io;

/// The descendants of programs, as the follower of a child sees them.
pub(super) trait Descendants: Sync {
    /// Whether an ended program may have left a process behind that holds none of its outputs. Cheap if it has
    /// not.
    fn may_have_left(&self, launch: &str, program: &Child) -> bool;
    /// The processes that an ended program has left behind.
    fn leftovers(&self, launch: &str, program: &Child) -> Vec<Leftover>;
    /// The members of a running program's session outside its group.
    fn others_of_session(&self, program: &Child) -> Vec<Leftover>;
    /// Collects the end of a program; afterwards its pid may be that of another process.
    fn collect(&self, program: &Child) -> io::Result<ChildEnd>;
    /// Called when a program runs longer than a moment.
    fn on_long_run(&self);
    /// Called when a program has ended but its leftovers have not.
    fn on_linger(&self);
}
