//! Limits of the texts that are read.

use crate::{Fault, Site};

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024 * 1024;

/// The deepest nesting of lists and maps, in levels.
pub const MAX_DEPTH: usize = 127;

/// The fault of a text that has more than [`MAX_BYTES`].
pub fn too_large() -> Fault {
    Fault::new("too-large", Site::Whole, format!("the text has more than {MAX_BYTES} bytes"))
}
