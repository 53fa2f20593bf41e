//! Handler `package`: cuts renditions into HLS segments and writes the playlists.

use crate::ffmpeg::{self, arguments, ffmpeg_in, file};
use crate::media::{self, Media};
use crate::output::{Unfinished, make_folder, remove, storage};
use crate::payload::{Number, Problems};
use crate::playlist::{Segment, Variant, master, segments};
use crate::verify::{Promise, lasts};
use pop_handler_base::{About, DiagnosticEvent, Handler, HandlerError, OperationContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

const MASTER: &str = "master.m3u8";
const PLAYLIST: &str = "playlist.m3u8";
const SEGMENT: &str = "segment_";
const SEGMENT_END: &str = ".ts";

/// The payload of `package`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackagePayload {
    /// The renditions, the one to begin with first.
    pub renditions: Vec<Rendition>,
    /// The folder of the master playlist; each rendition gets a folder in it.
    pub output_folder: String,
    /// How long a segment is to be.
    pub segment_seconds: Number,
}

/// A rendition to package. The result of `transcode` is one: fields that are not used here are passed over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rendition {
    /// The file.
    pub path: String,
    /// Height of its picture.
    pub height: Number,
    /// Bits a second at most; without it, they are measured.
    pub bandwidth: Option<Number>,
    /// Duration in seconds. Segments that last much shorter are a failure. Without it, the file is asked.
    pub duration_seconds: Option<Number>,
}

/// The result of `package`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// The master playlist.
    pub master_playlist: String,
    /// The renditions, in the order of the payload.
    pub renditions: Vec<PackagedRendition>,
}

/// One rendition of a package.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackagedRendition {
    /// Its media playlist.
    pub playlist: String,
    /// How many segments it has.
    pub segments: usize,
}

/// Cuts renditions into HLS segments.
///
/// *Guarantees.* A master playlist that is there names only files that are there: the one of an earlier run is
/// removed before its segments are touched, and the new one gets its name last.
#[derive(Debug, Clone, Copy, Default)]
pub struct PackageHandler;

impl Handler for PackageHandler {
    type Input = PackagePayload;
    type Output = Package;

    fn about(&self) -> About {
        media::input_errors(About::new(env!("CARGO_PKG_VERSION"), "makes an HLS package of renditions"))
            .error("codec", "a rendition has a codec that HLS players do not play from MPEG-TS segments")
            .error("height", "a rendition is not as high as the payload says")
            .error("size", "the segments are not displayed as the rendition is: it is rotated")
            .error("too-short", "the segments last shorter than the rendition: it is cut off, or sound goes on without picture")
            .error("no-segments", "a rendition gave no segments")
    }

    fn validate(&self, input: &PackagePayload) -> Vec<DiagnosticEvent> {
        let mut problems = Problems::default();
        if input.renditions.is_empty() {
            problems.say("`renditions` must name at least one rendition");
        }
        for (index, rendition) in input.renditions.iter().enumerate() {
            problems.path(&format!("renditions/{index}/path"), &rendition.path);
            problems.count(&format!("renditions/{index}/height"), &rendition.height);
            if let Some(bandwidth) = &rendition.bandwidth {
                problems.above_zero(&format!("renditions/{index}/bandwidth"), bandwidth);
            }
            let duration = rendition.duration_seconds.as_ref();
            problems.duration(&format!("renditions/{index}/durationSeconds"), duration);
        }
        problems.path("outputFolder", &input.output_folder);
        problems.above_zero("segmentSeconds", &input.segment_seconds);
        problems.into_diagnostics()
    }

    async fn run(
        &self,
        input: PackagePayload,
        context: &mut OperationContext,
    ) -> Result<Package, HandlerError> {
        let folder = Path::new(&input.output_folder);
        make_folder(folder)?;
        let master_playlist = folder.join(MASTER);
        remove(&master_playlist)?;
        context.progress(0.0);
        let share = 100.0 / input.renditions.len() as f64;
        let mut variants = Vec::new();
        let mut renditions = Vec::new();
        for (index, name) in folder_names(&input.renditions).into_iter().enumerate() {
            let cut = Cut {
                rendition: &input.renditions[index],
                folder: folder.join(&name),
                seconds: input.segment_seconds.value(),
                begins: share * index as f64,
                share,
            };
            let (media, segments) = cut.run(context).await?;
            renditions.push(PackagedRendition {
                playlist: text(&cut.folder.join(PLAYLIST)),
                segments: segments.len(),
            });
            variants.push(Variant {
                uri: format!("{name}/{PLAYLIST}"),
                bandwidth: cut.bandwidth(&segments)?,
                width: media.video.width,
                height: media.video.height,
                frame_rate: media.video.frame_rate,
                codecs: media.codecs(),
            });
        }
        let unfinished = Unfinished::begin(&text(&master_playlist))?;
        let part = unfinished.part();
        fs::write(&part, master(&variants)).map_err(|error| storage(Path::new(&part), &error))?;
        unfinished.finish()?;
        Ok(Package { master_playlist: text(&master_playlist), renditions })
    }
}

/// `720p`, and `720p-2` for a second one of that height.
fn folder_names(renditions: &[Rendition]) -> Vec<String> {
    let heights: Vec<u32> = renditions.iter().map(|rendition| rendition.height.whole()).collect();
    let name = |(index, height): (usize, &u32)| match heights[..index]
        .iter()
        .filter(|earlier| *earlier == height)
        .count()
    {
        0 => format!("{height}p"),
        earlier => format!("{height}p-{}", earlier + 1),
    };
    heights.iter().enumerate().map(name).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What players of HLS play from segments in MPEG-TS, by Apple's authoring specification.
const PROFILES: [&str; 4] = ["Constrained Baseline", "Baseline", "Main", "High"];
const SOUNDS: [&str; 4] = ["aac", "mp3", "ac3", "eac3"];

/// Refuses what MPEG-TS carries as data that nobody can play.
fn is_playable(path: &str, media: &Media) -> Result<(), HandlerError> {
    let (video, profile) = (&media.video.codec, media.video.profile.as_deref().unwrap_or_default());
    let wrong = if video != "h264" {
        format!("`{path}` has {video} pictures; MPEG-TS segments of HLS need h264")
    } else if !PROFILES.contains(&profile) {
        format!("`{path}` has h264 pictures of profile {profile}; players need {}", PROFILES.join(", "))
    } else if let Some(sound) = media.audio.as_ref().filter(|audio| !SOUNDS.contains(&audio.codec.as_str())) {
        format!("`{path}` has {} sound; MPEG-TS segments of HLS need {}", sound.codec, SOUNDS.join(", "))
    } else {
        return Ok(());
    };
    Err(HandlerError::new(wrong).code("codec"))
}

/// One rendition being cut.
struct Cut<'p> {
    rendition: &'p Rendition,
    folder: PathBuf,
    seconds: f64,
    /// Where its part of the percentage begins.
    begins: f64,
    /// How large that part is.
    share: f64,
}

impl Cut<'_> {
    async fn run(&self, context: &mut OperationContext) -> Result<(Media, Vec<Segment>), HandlerError> {
        let media = media::probe(&self.rendition.path, context).await?;
        let (path, height) = (&self.rendition.path, self.rendition.height.whole());
        if media.video.height != height {
            let message = format!("`{path}` is {} high, not {height}", media.video.height);
            return Err(HandlerError::new(message).code("height"));
        }
        is_playable(path, &media)?;
        make_folder(&self.folder)?;
        self.remove_earlier()?;
        let playlist = self.folder.join(PLAYLIST);
        let promised = self.rendition.duration_seconds.as_ref().and_then(Number::known);
        let seconds = promised.into_iter().chain(media.seconds).reduce(f64::max);
        let share = self.begins..self.begins + self.share * 0.99;
        let (working_directory, arguments) = self.call(&media, &playlist)?;
        ffmpeg_in(working_directory, context, arguments, seconds, share).await?;
        let written = fs::read_to_string(&playlist).map_err(|error| storage(&playlist, &error))?;
        let segments = segments(&written);
        // ffmpeg finds it no error that a segment could not be written
        let is_there = |segment: &Segment| self.folder.join(&segment.name).is_file();
        if segments.is_empty() || !segments.iter().all(is_there) {
            return Err(HandlerError::new(format!("`{path}` gave no segments, or not all of them"))
                .code("no-segments"));
        }
        if let Some(seconds) = seconds {
            let sum = segments.iter().map(|segment| segment.seconds).sum();
            lasts(&format!("the playlist of `{path}`"), sum, seconds)?;
        }
        let first = text(&self.folder.join(&segments[0].name));
        let made = media::probe(&first, context).await?;
        let size = (media.video.width, media.video.height);
        Promise { codec: "h264", size, ..Promise::default() }.check(&first, &made)?;
        context.progress(self.begins + self.share);
        Ok((media, segments))
    }

    /// Where ffmpeg is started, if that matters, and its arguments.
    ///
    /// The name of the segments is a pattern, in which nothing escapes a `%` of the folder. So ffmpeg is started within
    /// such a folder.
    fn call(&self, media: &Media, playlist: &Path) -> Result<(Option<PathBuf>, Vec<String>), HandlerError> {
        let segments = format!("{SEGMENT}%05d{SEGMENT_END}");
        if !text(&self.folder).contains('%') {
            let segments = file(&text(&self.folder.join(segments)));
            return Ok((
                None,
                self.arguments(media, &self.rendition.path, &segments, &file(&text(playlist))),
            ));
        }
        let path = &self.rendition.path;
        let absolute = |path: &Path| std::path::absolute(path).map_err(|error| storage(path, &error));
        let input = if ffmpeg::is_url(path) { path.clone() } else { text(&absolute(Path::new(path))?) };
        let arguments = self.arguments(media, &input, &segments, PLAYLIST);
        Ok((Some(absolute(&self.folder)?), arguments))
    }

    fn arguments(&self, media: &Media, input: &str, segments: &str, playlist: &str) -> Vec<String> {
        let mut arguments = ffmpeg::input(input);
        arguments.extend(media.maps());
        arguments.extend(arguments![
            "-c",
            "copy",
            "-f",
            "hls",
            "-hls_time",
            self.seconds.to_string(),
            "-hls_playlist_type",
            "vod",
            "-hls_flags",
            "independent_segments",
            "-hls_segment_filename",
            segments,
            playlist,
        ]);
        arguments
    }

    /// Removes the playlist and segments of an earlier run, which may have had more of them.
    fn remove_earlier(&self) -> Result<(), HandlerError> {
        remove(&self.folder.join(PLAYLIST))?;
        let failed = |error| storage(&self.folder, &error);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with(SEGMENT) && name.ends_with(SEGMENT_END) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Bits a second of the segment that needs most of them, unless the payload says it.
    fn bandwidth(&self, segments: &[Segment]) -> Result<u64, HandlerError> {
        let mut most = 0.0_f64;
        for segment in segments {
            let path = self.folder.join(&segment.name);
            let bytes = fs::metadata(&path).map_err(|error| storage(&path, &error))?.len();
            if segment.seconds > 0.0 {
                most = most.max(bytes as f64 * 8.0 / segment.seconds);
            }
        }
        let given = self.rendition.bandwidth.as_ref().map(Number::value);
        Ok(given.unwrap_or(most).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{codes, messages, percents, picture, printed};
    use pop_handler_base::run_in_memory;
    use serde_json::{Value, json};

    fn rendition(height: f64) -> Rendition {
        Rendition { path: "r.mp4".to_owned(), height: height.into(), bandwidth: None, duration_seconds: None }
    }

    #[test]
    fn folders_of_renditions_differ() {
        let renditions = [rendition(720.0), rendition(360.0), rendition(720.0), rendition(720.0)];
        assert_eq!(folder_names(&renditions), ["720p", "360p", "720p-2", "720p-3"]);
    }

    fn payload(folder: &Path) -> Value {
        json!({"renditions": [{"path": "720.mp4", "height": 720, "width": 1280, "sizeBytes": 1},
                              {"path": "360.mp4", "height": "360", "bandwidth": 900_000}],
               "outputFolder": folder.to_str().unwrap(), "segmentSeconds": 4})
    }

    #[tokio::test]
    async fn renditions_are_cut_one_after_the_other_and_the_old_master_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("720p")).unwrap();
        for stale in ["master.m3u8", "720p/segment_00009.ts", "720p/playlist.m3u8", "720p/mine.ts"] {
            fs::write(folder.path().join(stale), "old").unwrap();
        }
        let told = "out_time_us=5000000\nprogress=end";
        let answers = [printed(&picture("h264", 1280, 720)), printed(told)];
        let run = run_in_memory(&PackageHandler, &payload(folder.path()), answers).await;
        // nothing was really cut, so the first rendition has no playlist
        assert_eq!(codes(&run.report), ["storage"]);
        assert_eq!(percents(&run), [0, 24, 49, 49]);
        let left: Vec<_> = fs::read_dir(folder.path().join("720p"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, ["mine.ts"]);
        assert!(!folder.path().join("master.m3u8").exists());
        let root = folder.path().display();
        let wanted = format!(
            "-protocol_whitelist file -i file:720.mp4 -map 0:0 -c copy -f hls -hls_time 4 -hls_playlist_type vod -hls_flags \
             independent_segments -hls_segment_filename file:{root}/720p/segment_%05d.ts file:{root}/720p/playlist.m3u8"
        );
        let argv = run.external[1].argv.join(" ");
        assert!(argv.ends_with(&wanted), "{argv}");
    }

    #[tokio::test]
    async fn a_rendition_of_another_height_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let answers = [printed(&picture("h264", 640, 360))];
        let run = run_in_memory(&PackageHandler, &payload(folder.path()), answers).await;
        assert_eq!(messages(&run.report), ["`720.mp4` is 360 high, not 720"]);
    }

    #[tokio::test]
    async fn fr_f4_a_codec_that_players_do_not_play_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for codec in ["vp8", "vp9", "av1", "gif", "hevc", "mpeg4", "mpeg2video"] {
            let answers = [printed(&picture(codec, 1280, 720))];
            let run = run_in_memory(&PackageHandler, &payload(folder.path()), answers).await;
            assert_eq!(codes(&run.report), ["codec"], "{codec}");
        }
        let ten_bits = picture("h264", 1280, 720).replace("High", "High 10");
        let run = run_in_memory(&PackageHandler, &payload(folder.path()), [printed(&ten_bits)]).await;
        assert!(messages(&run.report)[0].starts_with("`720.mp4` has h264 pictures of profile High 10"));
        let sound = picture("h264", 1280, 720)
            .replace("\"streams\":[", "\"streams\":[{\"codec_type\":\"audio\",\"codec_name\":\"opus\"},");
        let run = run_in_memory(&PackageHandler, &payload(folder.path()), [printed(&sound)]).await;
        assert!(messages(&run.report)[0].starts_with("`720.mp4` has opus sound"));
    }

    #[tokio::test]
    async fn everything_wrong_is_said_at_once() {
        let payload = json!({"renditions": [{"path": "", "height": 0, "bandwidth": -1}], "outputFolder": " ",
            "segmentSeconds": 0});
        let run = run_in_memory(&PackageHandler, &payload, []).await;
        assert_eq!(messages(&run.report).len(), 5);
        let payload = json!({"renditions": [], "outputFolder": "", "segmentSeconds": 4});
        let run = run_in_memory(&PackageHandler, &payload, []).await;
        assert_eq!(messages(&run.report).len(), 2);
    }
}
