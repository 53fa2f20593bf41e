//! The five ways to serve callers.

use std::fmt;
use std::str::FromStr;

/// How a handler serves callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServeKind {
    /// Answers one request at a time; the others wait in their order.
    SyncReplier,
    /// Answers as many requests at a time as it has instances.
    Replier,
    /// Sends each trigger to all subscribers.
    Publisher,
    /// Sends each trigger to one of the receivers, in turn.
    Pusher,
    /// Answers one peer.
    Pair,
}

impl ServeKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::SyncReplier, Self::Replier, Self::Publisher, Self::Pusher, Self::Pair];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyncReplier => "sync-replier",
            Self::Replier => "replier",
            Self::Publisher => "publisher",
            Self::Pusher => "pusher",
            Self::Pair => "pair",
        }
    }

    /// The word of SDS (`config` of the manager).
    pub fn sds_word(self) -> &'static str {
        match self {
            Self::SyncReplier => "SyncReplier",
            Self::Replier => "Replier",
            Self::Publisher => "Publisher",
            Self::Pusher => "Pusher",
            Self::Pair => "Pair",
        }
    }

    /// Whether a program handles the requests. The other kinds send them on.
    pub fn runs_program(self) -> bool {
        matches!(self, Self::SyncReplier | Self::Replier | Self::Pair)
    }

    /// Most instances, if the handler may have `most`.
    pub(crate) fn limit(self, most: u32) -> u32 {
        if self == Self::Replier { most.max(1) } else { 1 }
    }
}

impl fmt::Display for ServeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ServeKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| format!("the kind must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_there_are_five_kinds_and_no_other() {
        for kind in ServeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let refused = "base".parse::<ServeKind>().unwrap_err();
        assert_eq!(refused, "the kind must be one of sync-replier, replier, publisher, pusher, pair");
    }
}
