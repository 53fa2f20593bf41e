//! The media handlers on files as cameras, recorders and broken transfers make them, with every ffmpeg that is there:
//! the one on the PATH, and those in the folders that `POP_TEST_FFMPEG` lists.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod duration;
mod input;
mod picture;
mod place;
