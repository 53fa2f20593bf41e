//! Sample handlers: real media work, each a typed function that ffmpeg does the heavy part of; and handlers with
//! capabilities, which install software and bind repositories.
//!
//! Read `probe` first: it is the shortest. Each handler is a program of its own too, in `handlers/`.

mod ffmpeg;
mod filmstrip;
mod filter;
mod media;
mod output;
mod package;
mod payload;
mod playlist;
mod probe;
mod repositories;
mod software;
mod thumbnail;
mod transcode;
mod verify;

#[cfg(test)]
mod script;

pub use filmstrip::{Filmstrip, FilmstripHandler, FilmstripPayload};
pub use package::{Package, PackageHandler, PackagePayload, PackagedRendition, Rendition};
pub use payload::Number;
pub use probe::{MediaInfo, ProbeHandler, ProbePayload};
pub use repositories::Repositories;
pub use software::{Software, SoftwareUnit};
pub use thumbnail::{Thumbnail, ThumbnailHandler, ThumbnailPayload};
pub use transcode::{TranscodeHandler, TranscodePayload, Transcoded};
