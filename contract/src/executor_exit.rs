//! What the exit code of an executor, `pop run`, says to its caller.

/// The meaning of an exit code of `pop run` (docs/formats/exit-codes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorExit {
    /// The run has ended, with any outcome but a signal: 0, 10 to 13.
    Ended,
    /// A signal ended the run, which can go on: 130, 143.
    Stopped,
    /// Command line, agenda, registry or settings are wrong, so nothing was started and a repetition changes nothing:
    /// 2 to 4.
    Refused,
    /// The executor failed; the run can go on.
    Broken,
}

impl ExecutorExit {
    /// The meaning of an exit code.
    pub fn of(code: i64) -> Self {
        match code {
            0 | 10..=13 => Self::Ended,
            130 | 143 => Self::Stopped,
            2..=4 => Self::Refused,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_meaning() {
        use ExecutorExit::{Broken, Ended, Refused, Stopped};
        for (codes, meaning) in [
            (&[0, 10, 11, 12, 13][..], Ended),
            (&[130, 143], Stopped),
            (&[2, 3, 4], Refused),
            (&[1, 14, 15, 137, -1], Broken),
        ] {
            assert!(codes.iter().all(|code| ExecutorExit::of(*code) == meaning), "{meaning:?}");
        }
    }
}
