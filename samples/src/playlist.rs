//! HLS playlists: what ffmpeg's media playlists say, and the master playlist that we write.

use std::fmt::Write as _;

/// A segment of a media playlist.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) seconds: f64,
}

/// The segments of a media playlist.
pub(crate) fn segments(playlist: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut seconds = 0.0;
    for line in playlist.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#EXTINF:") {
            seconds = rest.split(',').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        } else if !line.is_empty() && !line.starts_with('#') {
            segments.push(Segment { name: line.to_owned(), seconds });
        }
    }
    segments
}

/// One rendition in a master playlist.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variant {
    /// Its media playlist, seen from the master playlist.
    pub(crate) uri: String,
    /// Bits a second at most.
    pub(crate) bandwidth: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frame_rate: Option<f64>,
    pub(crate) codecs: Option<String>,
}

/// A master playlist of these renditions, in this order: a player begins with the first.
pub(crate) fn master(variants: &[Variant]) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    for Variant { uri, bandwidth, width, height, frame_rate, codecs } in variants {
        let codecs = codecs.as_ref().map(|codecs| format!(",CODECS=\"{codecs}\"")).unwrap_or_default();
        let rate = frame_rate.map(|rate| format!(",FRAME-RATE={rate:.3}")).unwrap_or_default();
        // writing to a text does not fail
        writeln!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={width}x{height}{rate}{codecs}\n{uri}"
        )
        .ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_read_with_their_durations() {
        let playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.000000,\nsegment_00000.ts\n#EXTINF:1.5,\n\
                        segment_00001.ts\n#EXT-X-ENDLIST\n";
        let found: Vec<_> = segments(playlist).into_iter().map(|found| (found.name, found.seconds)).collect();
        assert_eq!(found, [("segment_00000.ts".to_owned(), 4.0), ("segment_00001.ts".to_owned(), 1.5)]);
    }

    #[test]
    fn a_master_playlist_names_what_is_known() {
        let known = Variant {
            uri: "720p/playlist.m3u8".to_owned(),
            bandwidth: 2_500_000,
            width: 1280,
            height: 720,
            frame_rate: Some(29.97),
            codecs: Some("avc1.64001f,mp4a.40.2".to_owned()),
        };
        let bare = Variant { uri: "b".to_owned(), frame_rate: None, codecs: None, ..known.clone() };
        assert_eq!(
            master(&[known, bare]),
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-STREAM-INF:BANDWIDTH=2500000,RESOLUTION=1280x720,FRAME-RATE=29.970,CODECS=\"avc1.64001f,mp4a.40.2\"\n\
             720p/playlist.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2500000,RESOLUTION=1280x720\nb\n"
        );
    }
}
