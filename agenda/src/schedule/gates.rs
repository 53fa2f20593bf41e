//! The gates of a run: queues within the run, and requests to the executor.
//!
//! Each lock or delay that operations share is a turn with a name. A turn has one holder; the other operations of the
//! run queue in order of arrival. Only the holder sends a request, so a run never competes with itself.

use super::state::{Hold, OpState};
use super::{Scheduler, StartError};
use crate::event::{RunEvent, RunTime};
use crate::gate::{Answer, CacheAsk, Gate};
use crate::ops::OpIx;
use crate::plan::{BindError, Plan, PlannedOperation, Serves};
use pop_policy::{KeyInput, Lock, PatternError};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A resource that one operation holds at a time, with its queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn {
    pub(super) holder: Option<OpIx>,
    pub(super) waiting: VecDeque<OpIx>,
    /// Earliest time for the next request.
    free_at: RunTime,
}

impl Turn {
    /// State of the holder.
    fn hold(&self, now: RunTime) -> Hold {
        if self.free_at > now { Hold::Until(self.free_at) } else { Hold::Free }
    }
}

/// The gates of an operation that prepares an attempt or has one running.
#[derive(Debug, Clone, Default)]
pub(super) struct Passing {
    pub(super) gates: Arc<[Gate]>,
    pub(super) passed: usize,
    /// Versions that were read, in the order of the gates.
    pub(super) versions: Vec<u64>,
    /// Holder outside the run; none if unknown.
    pub(super) holder: Option<Box<str>>,
    /// Digest of the key that missed in the cache.
    pub(super) missed: Option<Box<str>>,
}

/// All gates of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Gates {
    pub(super) turns: HashMap<Box<str>, Turn>,
    pub(super) passing: HashMap<OpIx, Passing>,
}

impl Gates {
    /// Whether an operation that has not started costs the executor an open file (a gate it holds) or a thread (a lock it
    /// waits for).
    pub(super) fn is_holding(&self, op: OpIx, state: &OpState) -> bool {
        let has_passed = || self.passing.get(&op).is_some_and(|passing| passing.passed > 0);
        matches!(state, OpState::Gated(hold) if *hold == Hold::Busy || has_passed())
    }

    /// Whether an operation has passed all its gates.
    pub(super) fn is_through(&self, op: OpIx) -> bool {
        self.next(op).is_none()
    }

    fn next(&self, op: OpIx) -> Option<&Gate> {
        let passing = self.passing.get(&op)?;
        passing.gates.get(passing.passed)
    }
}

/// The name of the turn of a gate; none for a gate without one.
pub(super) fn turn_name(gate: &Gate, op: OpIx, plan: &Plan) -> Option<Box<str>> {
    Some(match gate {
        Gate::Lock { name } => format!("lock {name}").into(),
        Gate::Delay { id: Some(id), .. } => format!("delay {id}").into(),
        // all instances of an operation share its delay
        Gate::Delay { id: None, .. } => format!("own {}", plan.written(op)).into(),
        Gate::Reuse { .. } | Gate::Cache(_) | Gate::Version { .. } | Gate::Files(_) => return None,
    })
}

impl Scheduler {
    /// The gates before an attempt of `op`.
    pub(super) fn gates_of(&self, op: OpIx, payload: &Value) -> Result<Vec<Gate>, StartError> {
        let planned = self.plan.operation(op);
        let policies = &planned.policies;
        let mut gates = Vec::new();
        let mut files = self.files_of(op, payload)?.map(|files| Gate::Files(Arc::new(files)));
        if let Some(ask) = self.cache_ask(op, payload)? {
            let text = format!("{}\n{}\n{}", ask.state, planned.handler_type, ask.input.digest);
            let digest = blake3::hash(text.as_bytes()).to_hex();
            // this lock keeps other operations from computing the same result
            gates.push(Gate::Lock { name: format!("cache {} {}", ask.state, &digest[..32]).into() });
            // the key has the digests of the files
            gates.extend(files.take());
            gates.push(Gate::Cache(Arc::new(ask)));
        }
        // always in name order, so that no two operations deadlock
        let keys = self.lock_keys(op)?;
        gates.extend(keys.into_iter().map(|name| match policies.lock.value {
            Lock::Optimistic => Gate::Version { name },
            Lock::None | Lock::Safe => Gate::Lock { name },
        }));
        // another holder of the locks may write them
        gates.extend(files);
        if let Some(ms) = policies.delay() {
            gates.push(Gate::Delay { id: policies.delay_id.value.clone(), ms });
        }
        Ok(gates)
    }

    /// The lock keys of `op`, sorted and without duplicates.
    pub fn lock_keys(&self, op: OpIx) -> Result<Vec<Box<str>>, BindError> {
        let planned = self.plan.operation(op);
        let Some(keys) = planned.rare.as_ref().and_then(|rare| rare.lock_keys.as_ref()) else {
            return Ok(Vec::new());
        };
        let bound = keys.bind(&self.values(op))?;
        let word = |value: &Value| -> Box<str> {
            value.as_str().map_or_else(|| value.to_string(), str::to_owned).into()
        };
        let mut keys: Vec<Box<str>> = match bound.as_ref() {
            Value::Array(items) => items.iter().map(word).collect(),
            other => vec![word(other)],
        };
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// The cache lookup of `op`; none if it must not use a cache.
    fn cache_ask(&self, op: OpIx, payload: &Value) -> Result<Option<CacheAsk>, StartError> {
        let planned = self.plan.operation(op);
        let policies = &planned.policies;
        if !policies.use_cache.value || !planned.may_use_cache() {
            return Ok(None);
        }
        let input = match &policies.cache_key.value {
            Some(pattern) => match pattern.evaluate(payload)? {
                Value::Null => {
                    let problem =
                        "it finds nothing in the payload, so all payloads would share one result".to_owned();
                    return Err(PatternError { pattern: pattern.text().to_owned(), problem }.into());
                }
                value => KeyInput::pattern(pattern.text(), &value),
            },
            None => KeyInput::payload(payload),
        };
        let state = policies.cache_state.value.clone();
        let state = state.unwrap_or_else(|| (*planned.handler_type).into());
        let write = policies.cache_write.value.unwrap_or(true);
        let files = policies.cache_files.value;
        Ok(Some(CacheAsk { state, input, ttl_ms: policies.cache_ttl_ms.value, write, files }))
    }

    /// The event by which an operation at a free gate proceeds.
    pub(super) fn ask(&self, op: OpIx) -> RunEvent {
        match self.gates.next(op) {
            // no other operation shares it
            Some(Gate::Delay { id: None, .. }) => RunEvent::GateAnswered { op, answer: Answer::Granted },
            Some(Gate::Reuse { .. }) if let Some(why) = self.reason_to_run(op) => {
                RunEvent::GateAnswered { op, answer: Answer::miss(why) }
            }
            Some(Gate::Files(declared)) if declared.reads.is_empty() => {
                RunEvent::GateAnswered { op, answer: Answer::Granted }
            }
            _ => RunEvent::GateAsked { op },
        }
    }

    pub(super) fn set_gates(&mut self, op: OpIx, gates: Arc<[Gate]>, now: RunTime) {
        self.gates.passing.insert(op, Passing { gates, ..Passing::default() });
        self.arrive(op, now);
    }

    /// Moves the operation to its next gate.
    fn arrive(&mut self, op: OpIx, now: RunTime) {
        let plan = Arc::clone(&self.plan);
        let name = self.gates.next(op).and_then(|gate| turn_name(gate, op, &plan));
        let Some(name) = name else { return self.set(op, OpState::Gated(Hold::Free)) };
        let turn = self.gates.turns.entry(name).or_default();
        let hold = match turn.holder {
            Some(other) if other != op => {
                turn.waiting.push_back(op);
                Hold::Queued
            }
            _ => {
                turn.holder = Some(op);
                turn.hold(now)
            }
        };
        self.set(op, OpState::Gated(hold));
    }

    pub(super) fn answer(&mut self, op: OpIx, answer: &Answer, now: RunTime) {
        let Some(passing) = self.gates.passing.get_mut(&op) else { return };
        match answer {
            Answer::Granted | Answer::Read { .. } => {
                passing.holder = None;
                self.pass(op, now);
            }
            Answer::Miss { key, .. } => {
                passing.missed.clone_from(key);
                self.pass(op, now);
            }
            Answer::Version(version) => {
                passing.versions.push(*version);
                self.pass(op, now);
            }
            Answer::Busy { holder } => {
                passing.holder = Some(holder.clone());
                self.set(op, OpState::Gated(Hold::Busy));
            }
            Answer::Later { ms } => self.set(op, OpState::Gated(Hold::Until(now.plus(*ms)))),
            Answer::Hit { result, .. } => {
                self.keep_result(op, result);
                self.settle(op, crate::Outcome::FromCache, now);
            }
            Answer::Reused { result, .. } => {
                self.keep_result(op, result);
                self.note_reuse(op);
                self.settle(op, crate::Outcome::Succeeded, now);
            }
            Answer::Failed(failure) => {
                self.leave_gates(op, now);
                self.fail(op, failure);
            }
        }
    }

    fn pass(&mut self, op: OpIx, now: RunTime) {
        let plan = Arc::clone(&self.plan);
        let passed = self.gates.next(op).cloned();
        if let Some(passing) = self.gates.passing.get_mut(&op) {
            passing.passed += 1;
        }
        if let Some(gate @ Gate::Delay { ms, .. }) = &passed
            && let Some(name) = turn_name(gate, op, &plan)
        {
            // a delay ends with the start
            if let Some(turn) = self.gates.turns.get_mut(&name) {
                turn.free_at = now.plus(*ms);
            }
            self.yield_turn(&name, op, now);
        }
        self.arrive(op, now);
    }

    /// Releases everything that an operation holds, and removes it from every queue.
    pub(super) fn leave_gates(&mut self, op: OpIx, now: RunTime) {
        let Some(passing) = self.gates.passing.remove(&op) else { return };
        let plan = Arc::clone(&self.plan);
        for gate in passing.gates.iter().take(passing.passed + 1) {
            if let Some(name) = turn_name(gate, op, &plan) {
                self.yield_turn(&name, op, now);
            }
        }
    }

    fn yield_turn(&mut self, name: &str, op: OpIx, now: RunTime) {
        let Some(turn) = self.gates.turns.get_mut(name) else { return };
        if turn.holder != Some(op) {
            // usually the first in the queue
            if turn.waiting.front() == Some(&op) {
                turn.waiting.pop_front();
            } else {
                turn.waiting.retain(|waiting| *waiting != op);
            }
            return;
        }
        turn.holder = turn.waiting.pop_front();
        let hold = turn.hold(now);
        if let Some(next) = turn.holder {
            self.set(next, OpState::Gated(hold));
        } else if hold == Hold::Free {
            self.gates.turns.remove(name);
        }
    }

    /// The gate at which an operation waits.
    pub fn gate(&self, op: OpIx) -> Option<&Gate> {
        self.gates.next(op)
    }

    /// Keys and versions that an attempt has read, for the comparison at its end.
    pub fn versions(&self, op: OpIx) -> Vec<(&str, u64)> {
        let Some(passing) = self.gates.passing.get(&op) else { return Vec::new() };
        let keys = passing.gates.iter().filter_map(|gate| match gate {
            Gate::Version { name } => Some(&**name),
            _ => None,
        });
        keys.zip(passing.versions.iter().copied()).collect()
    }
}

impl PlannedOperation {
    /// Whether its handler allows cached results. A command in an agenda needs only `useCache`, because the author of the
    /// agenda is also the author of the handler; other handlers need `cache.use`.
    pub fn may_use_cache(&self) -> bool {
        self.policies.cache_use.value.unwrap_or(self.serves == Serves::Exec)
    }
}
