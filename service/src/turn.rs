//! The order in which agendas of an insight are given out, as a round that each agenda gets when it is queued.
//!
//! Waiting agendas are ordered by priority, round and sequence. An order that is a sort key needs no scheduler: the
//! next agenda is the first row of an index, however many wait.

/// The scheduling algorithm of an insight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// The oldest first.
    #[default]
    FirstInFirstOut,
    /// One of each customer in turn.
    RoundRobin,
}

impl Algorithm {
    /// The algorithm with this name. An insight without one is first in, first out.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("FirstInFirstOut") => Some(Self::FirstInFirstOut),
            Some("RoundRobin") => Some(Self::RoundRobin),
            Some(_) => None,
        }
    }
}

/// Rounds of one insight and priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Round of the agenda that was given out last: the current round.
    pub current: i64,
    /// Largest round of a waiting agenda.
    pub last: Option<i64>,
    /// Round that the customer got last, whether that agenda waits or not.
    pub of_customer: Option<i64>,
}

impl Standing {
    /// The round of an agenda that is queued now.
    ///
    /// Round robin: the current round, or the one after the customer's last. First in, first out: the last one, so that
    /// also agendas from before a change of the algorithm keep their place.
    pub fn round(self, algorithm: Algorithm) -> i64 {
        let next = match algorithm {
            Algorithm::FirstInFirstOut => self.last,
            Algorithm::RoundRobin => self.of_customer.map(|round| round.saturating_add(1)),
        };
        next.unwrap_or_default().max(self.current)
    }
}
