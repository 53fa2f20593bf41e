//! ffmpeg's `-progress` output as a percentage.

/// Reads the lines that `ffmpeg -progress pipe:1` prints, for work of a known duration.
///
/// Source of the format: ffmpeg's documentation of the option `-progress`: `key=value` lines, each block ended by
/// a `progress` line; `out_time_us` is the time of what was written, in microseconds.
#[derive(Debug, Clone)]
pub struct FfmpegProgress {
    duration_us: f64,
}

impl FfmpegProgress {
    /// A reader for work that lasts `seconds`.
    pub fn of_seconds(seconds: f64) -> Self {
        Self { duration_us: (seconds * 1e6).max(1.0) }
    }

    /// The percentage that a line says, if it says one.
    pub fn percent(&self, line: &str) -> Option<f64> {
        let (key, value) = line.trim().split_once('=')?;
        match (key, value) {
            ("out_time_us", micros) => {
                let micros: f64 = micros.parse().ok()?;
                // the end is told by `progress=end`, not by a rounded time
                Some((micros / self.duration_us * 100.0).clamp(0.0, 99.9))
            }
            ("progress", "end") => Some(100.0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_progress_becomes_a_percentage() {
        let progress = FfmpegProgress::of_seconds(10.0);
        let lines = "frame=12\nfps=24.0\nout_time_us=2500000\nout_time=00:00:02.500000\nspeed=1x\nprogress=continue\n\
                     out_time_us=N/A\nout_time_us=10000001\nprogress=end";
        let percents: Vec<f64> = lines.lines().filter_map(|line| progress.percent(line)).collect();
        assert_eq!(percents, [25.0, 99.9, 100.0]);
    }
}
