//! The gates before one attempt (locks, cached results, versions and delays), each with its wait.

use crate::event::RunTime;
use crate::gate::{Answer, Gate};
use crate::ops::OpIx;
use std::sync::Arc;

/// The gates before one attempt, and how the operation passed them.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The gates, in the order in which they are passed.
    pub gates: Arc<[Gate]>,
    /// Every answer with its time, oldest first.
    pub answers: Vec<(RunTime, Answer)>,
    /// One wait for each gate that was reached, in the order of `gates`.
    pub waits: Vec<GateWait>,
    /// Time at which the operation released its gates; none while it waits or its attempt runs.
    pub closed: Option<RunTime>,
}

/// The time that an operation spent at one gate.
#[derive(Debug, Clone, PartialEq)]
pub struct GateWait {
    /// Time at which the operation reached the gate.
    pub from: RunTime,
    /// Time at which it passed the gate, or gave up; none while it waits.
    pub until: Option<RunTime>,
    /// Holder of the lock when the operation had to wait for it; none if the lock was free, or if the gate is not a
    /// lock.
    pub holder: Option<GateHolder>,
}

/// The holder of a lock that an operation waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateHolder {
    /// An operation of the same run.
    Operation(OpIx),
    /// An operation of another run, as text.
    Outside(Box<str>),
}

impl Admission {
    /// An admission that starts at its first gate.
    pub(super) fn start(gates: Arc<[Gate]>, at: RunTime) -> Self {
        let mut admission = Self { gates, answers: Vec::new(), waits: Vec::new(), closed: None };
        admission.reach_next(at);
        admission
    }

    /// The gate that the operation waits at; none once it has passed all, or has given up.
    pub fn current(&self) -> Option<&Gate> {
        self.gates.get(self.open_wait()?)
    }

    /// Records an answer about the current gate.
    pub(super) fn answer(&mut self, answer: &Answer, at: RunTime) {
        self.answers.push((at, answer.clone()));
        match answer {
            Answer::Granted | Answer::Read { .. } | Answer::Miss { .. } | Answer::Version(_) => {
                self.finish_wait(at);
                self.reach_next(at);
            }
            Answer::Busy { holder } => self.set_holder(GateHolder::Outside(holder.clone())),
            Answer::Later { .. } => {}
            Answer::Hit { .. } | Answer::Reused { .. } | Answer::Failed(_) => self.close(at),
        }
    }

    /// Names the holder of the lock at the current gate.
    pub(super) fn set_holder(&mut self, holder: GateHolder) {
        if let Some(index) = self.open_wait() {
            self.waits[index].holder = Some(holder);
        }
    }

    /// Ends the admission: the operation holds and awaits no gate.
    pub(super) fn close(&mut self, at: RunTime) {
        self.finish_wait(at);
        self.closed = self.closed.or(Some(at));
    }

    fn open_wait(&self) -> Option<usize> {
        let last = self.waits.len().checked_sub(1)?;
        self.waits[last].until.is_none().then_some(last)
    }

    fn finish_wait(&mut self, at: RunTime) {
        if let Some(index) = self.open_wait() {
            self.waits[index].until = Some(at);
        }
    }

    fn reach_next(&mut self, at: RunTime) {
        if self.waits.len() < self.gates.len() {
            self.waits.push(GateWait { from: at, until: None, holder: None });
        }
    }
}
