//! One instance of a pool: its phase and the requests in hand.

use super::{InstanceId, RequestId};
use std::time::Duration;

/// The phase of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The process starts; the instance has not said hello.
    Starting,
    /// It waits for work.
    Ready,
    /// It serves at least one request.
    Handling,
    /// It serves its last requests and gets no further ones.
    Draining,
    /// It was asked to end, or killed, and has not ended yet.
    Stopping,
}

/// What an observer sees of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceView {
    /// The instance.
    pub id: InstanceId,
    /// Its phase.
    pub phase: Phase,
    /// Number of requests in hand.
    pub in_hand: usize,
    /// Number of requests that it has finished.
    pub served: u64,
}

/// A request that an instance serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct InHand {
    pub(super) request: RequestId,
    pub(super) subject: u64,
    /// Whether the instance was asked to end, or killed, because of this request.
    pub(super) ends_instance: bool,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: InstanceId,
    /// The time of its start, and from its hello on the time of that.
    pub(super) began: Duration,
    /// Whether the instance can cancel one request and go on.
    pub(super) cancels: bool,
    pub(super) in_hand: Vec<InHand>,
    /// Whether it serves a suspect, and therefore nothing else.
    pub(super) is_alone: bool,
    pub(super) served: u64,
    /// The time since which it has no work.
    pub(super) idle_since: Duration,
    /// Whether it was out of date before its hello.
    is_outdated: bool,
    stage: Stage,
}

/// The part of the phase that does not follow from the requests in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// `is_pending`: its process does not run yet.
    Starting {
        is_pending: bool,
    },
    Up,
    Draining,
    Stopping {
        kill_at: Option<Duration>,
    },
}

impl Instance {
    pub(super) fn new(id: InstanceId, now: Duration, is_pending: bool) -> Self {
        Self {
            id,
            began: now,
            cancels: false,
            in_hand: Vec::new(),
            is_alone: false,
            served: 0,
            idle_since: now,
            is_outdated: false,
            stage: Stage::Starting { is_pending },
        }
    }

    /// Its process runs: the time limit of the start begins.
    pub(super) fn runs(&mut self, now: Duration) {
        if self.stage == (Stage::Starting { is_pending: true }) {
            self.stage = Stage::Starting { is_pending: false };
            self.began = now;
        }
    }

    /// The time since which the process runs that has not said hello; `None` if it waits for its image.
    pub(super) fn runs_since(&self) -> Option<Duration> {
        (self.stage != Stage::Starting { is_pending: true }).then_some(self.began)
    }

    pub(super) fn phase(&self) -> Phase {
        match self.stage {
            Stage::Starting { .. } => Phase::Starting,
            Stage::Up if self.in_hand.is_empty() => Phase::Ready,
            Stage::Up => Phase::Handling,
            Stage::Draining => Phase::Draining,
            Stage::Stopping { .. } => Phase::Stopping,
        }
    }

    pub(super) fn view(&self) -> InstanceView {
        InstanceView { id: self.id, phase: self.phase(), in_hand: self.in_hand.len(), served: self.served }
    }

    /// The instance has said hello.
    pub(super) fn said_hello(&mut self, now: Duration, cancels: bool) {
        self.stage = if self.is_outdated { Stage::Draining } else { Stage::Up };
        self.began = now;
        self.idle_since = now;
        self.cancels = cancels;
    }

    /// The instance gets no further requests.
    pub(super) fn drain(&mut self) {
        match self.stage {
            Stage::Up => self.stage = Stage::Draining,
            Stage::Starting { .. } => self.is_outdated = true,
            Stage::Draining | Stage::Stopping { .. } => {}
        }
    }

    /// The instance was asked to end, and will be killed at this time.
    pub(super) fn stop(&mut self, kill_at: Duration) {
        self.stage = Stage::Stopping { kill_at: Some(kill_at) };
    }

    /// The instance was killed.
    pub(super) fn kill(&mut self) {
        self.stage = Stage::Stopping { kill_at: None };
    }

    /// Time at which an instance that was asked to end must be killed.
    pub(super) fn kill_at(&self) -> Option<Duration> {
        match self.stage {
            Stage::Stopping { kill_at } => kill_at,
            _ => None,
        }
    }

    /// Whether it was killed already.
    pub(super) fn is_killed(&self) -> bool {
        self.stage == Stage::Stopping { kill_at: None }
    }

    /// Whether it can take another request.
    pub(super) fn has_room(&self, slots: u32) -> bool {
        self.stage == Stage::Up && !self.is_alone && self.in_hand.len() < slots as usize
    }
}
