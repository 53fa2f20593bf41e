//! The handler contract as checks for any program.
//!
//! [`examine`] launches a program some dozens of times, each time as pop could launch it, and reports for each
//! of the [`CHECKS`] whether the program kept its promise. The program's behaviour decides which promises bind
//! it ([`Binds`]): `/bin/true` is a handler too.
//!
//! Most checks are lists of trials: the input of a launch, what is done to it, the expected end. The others
//! evaluate all launches. A trial shows how to repeat it by hand.
//!
//! *Guarantees.* Launches that do the work run one after another, like attempts of an operation; launches that
//! must be rejected run beside them. Every wait has a deadline, and leftovers of a launch are killed. *Limits.*
//! Does not see what a program reads and writes elsewhere.

mod check;
mod error;
mod examine;
mod expect;
mod launch_record;
mod outcome;
mod overall;
mod subject;
mod trial;
mod trial_input;
mod trial_runner;
mod trials;
mod warm;

pub use check::{Binds, CHECKS, Check};
pub use error::ConformanceError;
pub use examine::{Broken, CheckVerdict, Finding, examine};
pub use subject::Subject;
pub use warm::{WARM_CHECKS, examine_warm};
