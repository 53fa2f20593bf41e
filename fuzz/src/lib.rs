//! The assertions of each fuzz target, as a function of bytes. libFuzzer calls it, and so does a regression test over the corpus.

mod choices;
mod document;
mod journal;
mod reference;
mod report_lines;
mod sds_message;
mod settings;
mod warm_frames;
mod world;

pub use document::{agenda_json, agenda_yaml, descriptor, registry};
pub use journal::journal;
pub use reference::reference;
pub use report_lines::report_lines;
pub use sds_message::sds_message;
pub use settings::{payload, properties};
pub use warm_frames::warm_frames;

/// A fuzz target; it panics if a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by name; the corpus folder of a target has the same name.
pub const TARGETS: [(&str, Target); 11] = [
    ("agenda_json", agenda_json),
    ("agenda_yaml", agenda_yaml),
    ("descriptor", descriptor),
    ("journal", journal),
    ("payload", payload),
    ("properties", properties),
    ("reference", reference),
    ("registry", registry),
    ("report_lines", report_lines),
    ("sds_message", sds_message),
    ("warm_frames", warm_frames),
];
