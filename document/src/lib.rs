//! Texts that people write: JSON, YAML or INI read into a value, and the faults found in them with their places.
//!
//! A text is read once, fast and without places. Only when something is wrong is it read a second time to
//! find line and column, so a good text pays nothing for good messages.
//!
//! ```
//! use pop_document::{Fault, Source};
//!
//! let source = Source::new("agenda.yaml", b"operations:\n  - {name: a, type: exce}\n").unwrap();
//! let value = source.read().unwrap();
//! assert_eq!(value["operations"][0]["type"], "exce");
//!
//! let fault = Fault::value("unknown-type", "/operations/0/type", "no handler serves type `exce`");
//! let place = source.places(&[&fault.site])[0].clone().unwrap();
//! assert_eq!((place.line, place.column), (2, 21));
//! ```

mod fault;
mod ini;
mod json;
mod literal;
mod nearest;
mod place;
mod placed;
mod pointer;
mod shape;
mod source;
mod spelling;
mod yaml;

pub use fault::{Fault, Severity, Site};
pub use literal::{SECRET_LITERAL, secret_literals};
pub use nearest::nearest;
pub use place::Place;
pub use placed::PlacedFault;
pub use pointer::Pointer;
pub use shape::{Fields, kind_of};
pub use source::{Format, MAX_BYTES, MAX_DEPTH, Source, too_large};
pub use spelling::Spelling;
