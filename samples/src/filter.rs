//! Filters of ffmpeg that make pictures as a viewer sees them: deinterlaced, in standard colours, in square pixels.

use crate::media::{DynamicRange, FieldOrder, Media, Video};

/// Filters one after the other.
pub(crate) fn chain(filters: impl IntoIterator<Item = Option<String>>) -> String {
    filters.into_iter().flatten().collect::<Vec<_>>().join(",")
}

/// Makes whole pictures of interlaced ones. None if the video has whole pictures.
pub(crate) fn deinterlace(video: &Video) -> Option<String> {
    let parity = match video.field_order? {
        FieldOrder::TopFirst => "tff",
        FieldOrder::BottomFirst => "bff",
    };
    Some(format!("bwdif=mode=send_frame:parity={parity}:deint=all"))
}

/// Maps a high dynamic range to standard colours. None if the video has those.
pub(crate) fn tone_map(video: &Video) -> Option<String> {
    let transfer = match video.dynamic_range? {
        DynamicRange::Hdr10 => "smpte2084",
        DynamicRange::Hlg => "arib-std-b67",
    };
    Some(format!(
        "zscale=transferin={transfer}:primariesin=bt2020:matrixin=bt2020nc:transfer=linear:npl=100,\
         format=gbrpf32le,zscale=primaries=bt709,tonemap=hable:desat=0,\
         zscale=transfer=bt709:matrix=bt709:range=tv,format=yuv420p"
    ))
}

/// The most pictures a second that are made where the video does not say a rate.
const RATE_UNKNOWN: f64 = 25.0;
const RATE_MOST: f64 = 60.0;
/// Seconds without picture that are left as they are.
const GAP: f64 = 0.1;

/// Shows the first picture from the beginning, and the last one until the sound ends. None if the picture lasts as long
/// as the sound, or nobody knows how long they last.
pub(crate) fn hold(media: &Media) -> Option<String> {
    let span = media.video.span;
    let missing = (media.seconds? - span.end?).max(0.0);
    if span.start <= GAP && missing <= GAP {
        return None;
    }
    let rate = media.video.frame_rate.unwrap_or(RATE_UNKNOWN).min(RATE_MOST);
    Some(format!("fps={rate}:start_time=0,tpad=stop_mode=clone:stop_duration={missing:.3}"))
}

/// Scales to exactly this size, in square pixels.
pub(crate) fn scale((width, height): (u32, u32)) -> String {
    format!("scale={width}:{height},setsar=1")
}

/// A picture fitted into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Size of the frame.
    pub(crate) frame: (u32, u32),
    /// Size of the picture in it; black bars fill the rest.
    pub(crate) picture: (u32, u32),
}

impl Fit {
    /// Fits a displayed picture into a width, a height, or both. Without one of them it follows from the other.
    pub(crate) fn new(video: &Video, width: Option<u32>, height: Option<u32>) -> Self {
        let (shown_width, shown_height) = (f64::from(video.width), f64::from(video.height));
        let follow = |size: u32, of: f64, by: f64| even(f64::from(size) * of / by);
        match (width, height) {
            (Some(width), None) => Self::whole((width, follow(width, shown_height, shown_width))),
            (None, Some(height)) => Self::whole((follow(height, shown_width, shown_height), height)),
            (None, None) => Self::whole((even(shown_width), even(shown_height))),
            (Some(width), Some(height)) => {
                let by_height = follow(height, shown_width, shown_height);
                let by_width = follow(width, shown_height, shown_width);
                let picture =
                    if by_height < width { (by_height, height) } else { (width, by_width.min(height)) };
                // a difference of one step is rounding
                let is_rounding = width - picture.0 <= 2 && height - picture.1 <= 2;
                let frame = (width, height);
                Self { frame, picture: if is_rounding { frame } else { picture } }
            }
        }
    }

    fn whole(frame: (u32, u32)) -> Self {
        Self { frame, picture: frame }
    }

    /// The filters that make such pictures.
    pub(crate) fn filter(&self) -> String {
        let (width, height) = self.frame;
        let pad = format!("pad={width}:{height}:(ow-iw)/2:(oh-ih)/2");
        chain([Some(scale(self.picture)), (self.picture != self.frame).then_some(pad)])
    }
}

/// The nearest even size of at least 2.
fn even(size: f64) -> u32 {
    ((size / 2.0).round().max(1.0) * 2.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Span;

    fn video(width: u32, height: u32) -> Video {
        Video { width, height, ..Video::default() }
    }

    #[test]
    fn fr_f6_the_shape_of_the_displayed_picture_stays() {
        for (shown, width, height, frame, picture) in [
            ((640, 360), None, Some(90), (160, 90), (160, 90)),
            ((360, 640), None, Some(360), (202, 360), (202, 360)),
            ((641, 361), None, Some(180), (320, 180), (320, 180)),
            ((360, 640), Some(320), None, (320, 568), (320, 568)),
            ((1, 1), Some(2), None, (2, 2), (2, 2)),
            ((640, 360), Some(320), Some(180), (320, 180), (320, 180)),
            ((641, 361), Some(320), Some(180), (320, 180), (320, 180)),
            ((360, 640), Some(320), Some(180), (320, 180), (102, 180)),
            ((1000, 100), Some(320), Some(180), (320, 180), (320, 32)),
        ] {
            assert_eq!(
                Fit::new(&video(shown.0, shown.1), width, height),
                Fit { frame, picture },
                "{shown:?}"
            );
        }
    }

    #[test]
    fn a_picture_is_held_only_where_it_lacks() {
        let media = |start: f64, end: Option<f64>, rate: Option<f64>| Media {
            seconds: Some(10.0),
            video: Video { span: Span { start, end }, frame_rate: rate, ..Video::default() },
            ..Media::default()
        };
        assert_eq!(hold(&media(0.0, Some(9.98), Some(25.0))), None);
        assert_eq!(hold(&media(0.02, None, Some(25.0))), None);
        let held = hold(&media(3.0, Some(2.0), Some(1000.0)));
        assert_eq!(held.as_deref(), Some("fps=60:start_time=0,tpad=stop_mode=clone:stop_duration=8.000"));
        let late = hold(&media(3.0, Some(10.0), None));
        assert_eq!(late.as_deref(), Some("fps=25:start_time=0,tpad=stop_mode=clone:stop_duration=0.000"));
    }
}
