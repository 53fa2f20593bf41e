//! Parsing of texts that people write (JSON, YAML, INI) into values, and faults with their places in the text.
//!
//! The first pass parses a text fast, without places. Only if there is a fault does a second pass find line and
//! column, so good messages cost nothing for a valid text.
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

mod element;
mod fault;
mod ini;
mod json;
mod limits;
mod nearest;
mod place;
mod placed_fault;
mod pointer;
mod secret_literal;
mod shape;
mod source;
mod spelling;
mod yaml;

pub use element::Element;
pub use fault::{Fault, Severity, Site};
pub use limits::{MAX_BYTES, MAX_DEPTH, too_large};
pub use nearest::nearest;
pub use place::Place;
pub use placed_fault::PlacedFault;
pub use pointer::{ElementPointer, Pointer};
pub use secret_literal::{SECRET_LITERAL, SecretSearch, secret_literals};
pub use shape::{Fields, MapPlace, kind_of, scalar_text};
pub use source::{Format, Source};
pub use spelling::Spelling;
