//! The handler contract as checks that any program can be put to.
//!
//! [`examine`] launches a program some dozens of times, each time as pop could launch it, and says of each of the
//! [`CHECKS`] whether its promise was kept. Who is bound by which promise is told by what the program does
//! ([`Binds`]): `/bin/true` is a handler too.
//!
//! Most checks are lists of trials: what the program is given, what is done to it, what is expected. The
//! others look over everything that was seen. A trial says how to repeat it by hand.
//!
//! *Guarantees.* Launches that do the work run one after another, as attempts of an operation do; beside them run
//! those that are to be refused. Every wait has a deadline, and what a launch left behind is ended. *Cannot.* Say what a
//! program reads and writes elsewhere.

mod check;
mod examine;
mod expect;
mod launch;
mod overall;
mod seen;
mod subject;
mod trial;
mod trials;

pub use check::{Binds, CHECKS, Check};
pub use examine::{Broken, CheckVerdict, Finding, examine};
pub use launch::ConformanceError;
pub use subject::Subject;
