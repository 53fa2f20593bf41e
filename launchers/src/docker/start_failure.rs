//! The message of an init that cannot start the program: its only output, one line on standard error.

use crate::port::Stream;

/// Maximum number of bytes of the message that are stored.
const LONGEST: usize = 4_096;

/// The output of a container, as long as it may come from an init alone.
#[derive(Debug, Default)]
pub(super) struct StartFailure {
    /// Text on standard error.
    said: Vec<u8>,
    /// Whether there was other output than an init's message.
    is_other: bool,
}

impl StartFailure {
    /// Records a piece of the container's output.
    pub(super) fn observe(&mut self, stream: Stream, bytes: &[u8]) {
        self.is_other |= stream == Stream::Stdout || self.said.len() + bytes.len() > LONGEST;
        if self.is_other {
            self.said = Vec::new();
        } else {
            self.said.extend_from_slice(bytes);
        }
    }

    /// Why the program could not be started, if the whole output is an init's message.
    pub(super) fn reason(&self) -> Option<String> {
        let line = std::str::from_utf8(&self.said).ok()?.trim_end();
        if line.contains('\n') {
            return None;
        }
        // tini: `[FATAL tini (PID)] exec PROGRAM failed: REASON`
        let tini = || {
            line.strip_prefix("[FATAL tini (")?
                .split_once(")] ")
                .filter(|(pid, why)| is_number(pid) && why.starts_with("exec "))
        };
        // catatonit: `ERROR (catatonit:PID): failed to exec pid1: REASON`
        let catatonit = || {
            let said = line.strip_prefix("ERROR (catatonit:")?.split_once("): ");
            said.filter(|(pid, why)| is_number(pid) && why.starts_with("failed to exec "))
        };
        tini().or_else(catatonit).map(|(_, why)| why.to_owned())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_e6_init_message_is_recognised_with_any_pid_and_cut() {
        let told = |texts: &[(Stream, &str)], size: usize| {
            let mut failure = StartFailure::default();
            for (stream, text) in texts {
                text.as_bytes().chunks(size).for_each(|piece| failure.observe(*stream, piece));
            }
            failure.reason()
        };
        for size in 1..40 {
            for (text, wanted) in [
                (
                    "[FATAL tini (7)] exec nothing failed: No such file or directory\n",
                    Some("exec nothing failed: No such file or directory"),
                ),
                (
                    "[FATAL tini (65536)] exec ./x failed: Exec format error\n",
                    Some("exec ./x failed: Exec format error"),
                ),
                (
                    "ERROR (catatonit:2): failed to exec pid1: Permission denied\n",
                    Some("failed to exec pid1: Permission denied"),
                ),
                ("[FATAL tini (x)] exec a failed: b\n", None),
                ("[FATAL tini (7)] exec a failed: b\nmore\n", None),
                ("ERROR (catatonit:2): something else\n", None),
                ("sh: nothing: not found\n", None),
                ("", None),
            ] {
                assert_eq!(told(&[(Stream::Stderr, text)], size).as_deref(), wanted, "{text}");
                assert_eq!(told(&[(Stream::Stdout, "x"), (Stream::Stderr, text)], size), None, "{text}");
            }
        }
    }
}
