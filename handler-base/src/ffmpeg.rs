//! Percentages from ffmpeg's `-progress` output.

/// Reads the lines that `ffmpeg -progress pipe:1` prints.
///
/// Source of the format: ffmpeg's documentation of the option `-progress`: `key=value` lines, each block ended by
/// a `progress` line; `out_time_us` is the time of what was written, in microseconds.
///
/// ffmpeg 5.1 to 9.0 print `N/A` for seconds, times below 0, times past the end, and a last block that falls back
/// to the shorter of two outputs. ffmpeg also prints `progress=end` when it fails. So the percentage only rises, stays
/// below 100, and is 0 until the first picture is written.
#[derive(Debug, Clone)]
pub struct FfmpegProgress {
    duration_us: Option<f64>,
    frames: Option<u64>,
    highest_us: Option<f64>,
}

impl FfmpegProgress {
    /// A reader for work that lasts `seconds`. No percentage follows from a duration that is not above 0.
    pub fn of_seconds(seconds: f64) -> Self {
        let duration_us = (seconds.is_finite() && seconds > 0.0).then_some(seconds * 1e6);
        Self { duration_us, frames: None, highest_us: None }
    }

    /// A reader for work of unknown duration: it counts pictures and time, and gives no percentage.
    pub fn of_unknown_duration() -> Self {
        Self::of_seconds(0.0)
    }

    /// Reads a line. Returns the percentage, from 0 to 99.9, if the line raises it.
    pub fn percent(&mut self, line: &str) -> Option<f64> {
        let (key, value) = line.trim().split_once('=')?;
        match key {
            "frame" => self.frames = value.trim().parse().ok().or(self.frames),
            "out_time_us" => return self.rise(value.trim().parse().ok()?),
            _ => {}
        }
        None
    }

    fn rise(&mut self, micros: f64) -> Option<f64> {
        let is_higher =
            micros.is_finite() && micros >= 0.0 && self.highest_us.is_none_or(|so_far| micros > so_far);
        // ffmpeg 9 gives the time of the sound while no picture is written
        if !is_higher || self.frames == Some(0) {
            return None;
        }
        self.highest_us = Some(micros);
        // only the exit status of ffmpeg and the file prove 100 percent
        Some((micros / self.duration_us? * 100.0).min(99.9))
    }

    /// Pictures written so far. None before the first block, and for work without pictures.
    pub fn frames(&self) -> Option<u64> {
        self.frames
    }

    /// Seconds of media written so far. None while ffmpeg does not know.
    pub fn seconds(&self) -> Option<f64> {
        self.highest_us.map(|micros| micros / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percents(seconds: f64, lines: &str) -> Vec<f64> {
        let mut progress = FfmpegProgress::of_seconds(seconds);
        lines.lines().filter_map(|line| progress.percent(line)).collect()
    }

    #[test]
    fn progress_block_gives_a_percentage() {
        let lines = "frame=12\nfps=24.0\nout_time_us=2500000\nout_time_ms=2500000\nout_time=00:00:02.500000\nspeed=1x\n\
                     progress=continue\nframe=40\nout_time_us=7500000\nprogress=end";
        assert_eq!(percents(10.0, lines), [25.0, 75.0]);
    }

    #[test]
    fn fr_f10_percentage_rises_below_100_in_four_versions_of_ffmpeg() {
        // first, middle and last blocks as each version printed them
        let v5 =
            "frame=0\nout_time_us=46440\nprogress=continue\nframe=250\nout_time_us=10007800\nprogress=end";
        let v7 = "frame=0\nout_time_us=N/A\nout_time=N/A\nprogress=continue\nframe=50\nout_time_us=5000000\nprogress=continue\n\
                  frame=175\nout_time_us=7000000\nprogress=continue\nframe=175\nout_time_us=2000000\nprogress=end";
        let v8 = "frame=0\nout_time_us=N/A\nprogress=continue\nframe=2\nout_time_us=-2907120\nout_time=-00:00:02.907120\n\
                  progress=continue\nframe=90\nout_time_us=3500000\nprogress=end";
        let v9 = "frame=0\nout_time_us=1500000\nprogress=continue\nframe=0\nout_time_us=3000000\nprogress=continue\n\
                  frame=1\nout_time_us=3000000\nprogress=continue\nframe=9\nout_time_us=-2000000\nprogress=continue\n\
                  frame=175\nout_time_us=7000000\nprogress=end";
        assert_eq!(percents(10.0, v5), [99.9]);
        assert_eq!(percents(10.0, v7), [50.0, 70.0]);
        assert_eq!(percents(10.0, v8), [35.0]);
        assert_eq!(percents(10.0, v9), [30.0, 70.0]);
    }

    #[test]
    fn fr_f10_work_of_unknown_duration_has_no_percentage() {
        let mut progress = FfmpegProgress::of_unknown_duration();
        for line in
            ["frame=50", "out_time_us=2000000", "progress=continue", "out_time_us=1000000", "progress=end"]
        {
            assert_eq!(progress.percent(line), None);
        }
        assert_eq!((progress.frames(), progress.seconds()), (Some(50), Some(2.0)));
        for seconds in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(percents(seconds, "frame=1\nout_time_us=2000000"), [0.0; 0]);
        }
    }

    #[test]
    fn sound_without_pictures_has_a_percentage() {
        assert_eq!(percents(4.0, "bitrate=N/A\nout_time_us=1000000\nprogress=continue"), [25.0]);
    }
}
