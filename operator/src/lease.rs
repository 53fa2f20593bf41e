//! Leader election by a Lease, as a state machine without clock and client.
//!
//! The caller passes each event with its time to [`LeaderElection::step`], performs the actions, and wakes the machine
//! at [`LeaderElection::deadline`]. Times are durations since any fixed moment of a monotonic clock of this process.
//!
//! *Guarantees.* At most one replica leads, if no clock runs half as fast again as another: a leader's time begins when
//! it *sends* a write and ends after two thirds of the duration; others wait the whole duration after they *saw* it.
//! Wall clocks are compared nowhere. Each write has a resource version, so a late one takes nothing from a successor.
//! *Assumptions.* An identity belongs to one start of one process. Each request is answered once; after a timeout,
//! with [`Answer::Failed`]. Nobody deletes the Lease while a replica leads.

use std::time::Duration;

/// The settings of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Name of this start of this process, for example the pod's name and a random number.
    pub identity: String,
    /// Time without renewal after which another replica takes over; at least 1 s. The leader renews at a third of it,
    /// and stops when it could not renew for two thirds.
    pub duration: Duration,
}

/// What the machine reads and writes of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// `spec.holderIdentity`; none if the Lease is free.
    pub holder: Option<String>,
    /// `spec.leaseDurationSeconds`; zero if it is absent.
    pub duration: Duration,
    /// `spec.leaseTransitions`: how often the holder has changed.
    pub transitions: u32,
    /// `metadata.resourceVersion`; empty in [`Action::Create`].
    pub version: String,
}

/// An event for the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A deadline may have passed.
    Time,
    /// The answer to the last request.
    Answered(Answer),
    /// The process ends, and its syncs have ended: give the Lease to others.
    Release,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The Lease, after [`Action::Get`].
    Found(Lease),
    /// There is no Lease, after [`Action::Get`].
    NotFound,
    /// The Lease as it was written.
    Written(Lease),
    /// Another write came before (409).
    Conflict,
    /// No answer, or another error. The write may have happened.
    Failed,
}

/// What the caller must do. Requests are made one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Read the Lease.
    Get,
    /// Create the Lease, with `acquireTime` and `renewTime` of the wall clock.
    Create(Lease),
    /// Replace the Lease of that version, with `renewTime` of the wall clock.
    Replace {
        /// What to write.
        lease: Lease,
        /// Whether the holder changes: `acquireTime` is set too.
        is_acquired: bool,
    },
    /// This replica leads: sync. Check [`LeaderElection::is_leading`] before each write.
    StartLeading,
    /// This replica does not lead any more: start no sync and no write.
    StopLeading,
    /// The Lease is given up after [`Input::Release`], as far as that was possible.
    Ended,
}

/// A request without an answer.
#[derive(Debug, Clone)]
enum Request {
    Get,
    /// A write for this replica, sent at this time.
    Hold(Duration),
    /// A write that frees the Lease.
    Free,
}

/// The last Lease that was seen.
#[derive(Debug, Clone)]
struct Seen {
    lease: Lease,
    /// The time when this version was first seen.
    since: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Releasing,
    Ended,
}

/// One replica's part in the election.
#[derive(Debug, Clone)]
pub struct LeaderElection {
    settings: LeaseSettings,
    state: State,
    seen: Option<Seen>,
    request: Option<Request>,
    /// The replica leads until this time.
    leads_until: Option<Duration>,
    epoch: Option<u32>,
    /// The time of the next request.
    next: Duration,
}

impl LeaderElection {
    /// A replica that does not lead yet. Its first request follows from the first step.
    pub fn new(settings: LeaseSettings) -> Self {
        let duration = settings.duration.max(Duration::from_secs(1));
        Self {
            settings: LeaseSettings { duration, ..settings },
            state: State::Running,
            seen: None,
            request: None,
            leads_until: None,
            epoch: None,
            next: Duration::ZERO,
        }
    }

    /// Whether this replica leads at a time that is not before the last step.
    pub fn is_leading(&self, now: Duration) -> bool {
        self.leads_until.is_some_and(|until| now < until)
    }

    /// The number of changes of the holder when this replica last wrote the Lease. Each leader has a greater one than
    /// those before it.
    pub fn epoch(&self) -> Option<u32> {
        self.epoch
    }

    /// The longest time to wait for an answer. A request without one has failed.
    pub fn request_timeout(&self) -> Duration {
        self.settings.duration / 6
    }

    /// The time of the next step if nothing happens before; none after the end.
    pub fn deadline(&self) -> Option<Duration> {
        let next = (self.state != State::Ended && self.request.is_none()).then_some(self.next);
        next.into_iter().chain(self.leads_until).min()
    }

    /// Handles an event. `now` never decreases.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.leads_until.is_some_and(|until| now >= until) {
            self.stop_leading(&mut actions);
        }
        match input {
            Input::Time => {}
            Input::Answered(answer) => {
                if let Some(request) = self.request.take() {
                    self.answered(now, &request, answer, &mut actions);
                }
            }
            Input::Release if self.state == State::Running => {
                self.stop_leading(&mut actions);
                self.state = State::Releasing;
            }
            Input::Release => {}
        }
        if self.request.is_none() {
            self.go_on(now, &mut actions);
        }
        actions
    }

    fn stop_leading(&mut self, actions: &mut Vec<Action>) {
        if self.leads_until.take().is_some() {
            actions.push(Action::StopLeading);
        }
    }

    fn answered(&mut self, now: Duration, request: &Request, answer: Answer, actions: &mut Vec<Action>) {
        match (request, answer) {
            (Request::Hold(sent), Answer::Written(lease)) if !self.is_seen(&lease.version) => {
                self.epoch = Some(lease.transitions);
                self.see(now, lease);
                self.next = *sent + self.settings.duration / 3;
                let until = *sent + self.settings.duration * 2 / 3;
                // a late answer may prove a time that is over
                if now < until && self.state == State::Running {
                    if self.leads_until.replace(until).is_none() {
                        actions.push(Action::StartLeading);
                    }
                } else {
                    self.next = now;
                }
            }
            (Request::Free, Answer::Written(_)) => {
                self.seen = None;
                self.state = State::Ended;
                actions.push(Action::Ended);
            }
            (Request::Get, Answer::Found(lease)) => {
                self.see(now, lease);
                let is_held_by_others = self.is_held_by_others();
                if is_held_by_others {
                    self.stop_leading(actions);
                }
                self.next = if is_held_by_others { self.next_look(now) } else { now };
            }
            (Request::Get, Answer::NotFound) => {
                self.seen = None;
                self.next = now;
                // somebody deleted it, so any replica may create it now
                if self.state == State::Running {
                    self.stop_leading(actions);
                    self.hold(now, actions);
                }
            }
            (_, Answer::Conflict) => {
                // the version is out of date, but its holder may still lead
                self.seen = None;
                self.next = now;
            }
            // an answer that does not fit is as good as none
            _ => self.next = now + self.settings.duration / 10,
        }
    }

    /// Sends the next request if it is due.
    fn go_on(&mut self, now: Duration, actions: &mut Vec<Action>) {
        match (self.state, &self.seen) {
            (State::Ended, _) => {}
            (State::Releasing, Some(seen)) if seen.lease.holder.as_ref() == Some(&self.settings.identity) => {
                let lease = Lease { holder: None, ..seen.lease.clone() };
                self.seen = None;
                self.request = Some(Request::Free);
                actions.push(Action::Replace { lease, is_acquired: false });
            }
            (State::Releasing, _) => {
                self.state = State::Ended;
                actions.push(Action::Ended);
            }
            (State::Running, _) if now < self.next => {}
            (State::Running, Some(seen))
                if !self.is_held_by_others() || now >= expiry(seen, self.settings.duration) =>
            {
                self.hold(now, actions);
            }
            (State::Running, _) => {
                self.request = Some(Request::Get);
                actions.push(Action::Get);
            }
        }
    }

    /// Writes the Lease for this replica.
    fn hold(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let identity = self.settings.identity.clone();
        let held = |transitions, version| Lease {
            holder: Some(identity.clone()),
            duration: self.settings.duration,
            transitions,
            version,
        };
        actions.push(match &self.seen {
            None => Action::Create(held(0, String::new())),
            Some(Seen { lease, .. }) => {
                let is_acquired = lease.holder.as_ref() != Some(&identity);
                let transitions = lease.transitions.saturating_add(u32::from(is_acquired));
                Action::Replace { lease: held(transitions, lease.version.clone()), is_acquired }
            }
        });
        self.request = Some(Request::Hold(now));
    }

    fn is_seen(&self, version: &str) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.lease.version == version)
    }

    fn see(&mut self, now: Duration, lease: Lease) {
        let since = match &self.seen {
            Some(seen) if seen.lease.version == lease.version => seen.since,
            _ => now,
        };
        self.seen = Some(Seen { lease, since });
    }

    fn is_held_by_others(&self) -> bool {
        let holder = self.seen.as_ref().and_then(|seen| seen.lease.holder.as_ref());
        holder.is_some_and(|holder| *holder != self.settings.identity)
    }

    /// The next look at a Lease of others: regularly, and when it expires.
    fn next_look(&self, now: Duration) -> Duration {
        let regular = now + self.settings.duration / 3;
        self.seen.as_ref().map_or(regular, |seen| regular.min(expiry(seen, self.settings.duration)).max(now))
    }
}

/// The time when a Lease that did not change has expired. A Lease without a duration has the one of this replica.
fn expiry(seen: &Seen, default: Duration) -> Duration {
    let duration = if seen.lease.duration.is_zero() { default } else { seen.lease.duration };
    seen.since + duration
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn replica() -> LeaderElection {
        LeaderElection::new(LeaseSettings { identity: "me".to_owned(), duration: 15 * SECOND })
    }

    fn lease(holder: &str, version: &str) -> Lease {
        let holder = (!holder.is_empty()).then(|| holder.to_owned());
        Lease { holder, duration: 15 * SECOND, transitions: 3, version: version.to_owned() }
    }

    fn answered(answer: Answer) -> Input {
        Input::Answered(answer)
    }

    /// A replica that leads since second 0.
    fn leader() -> LeaderElection {
        let mut replica = replica();
        assert_eq!(replica.step(Duration::ZERO, Input::Time), [Action::Get]);
        let created = replica.step(Duration::ZERO, answered(Answer::NotFound));
        assert_eq!(created, [Action::Create(Lease { transitions: 0, ..lease("me", "") })]);
        assert_eq!(replica.step(SECOND, answered(Answer::Written(lease("me", "1")))), [Action::StartLeading]);
        replica
    }

    #[test]
    fn o29_leader_renews_at_a_third_and_stops_at_two_thirds() {
        let mut replica = leader();
        assert_eq!(replica.deadline(), Some(5 * SECOND));
        let renewal = Action::Replace { lease: lease("me", "1"), is_acquired: false };
        assert_eq!(replica.step(5 * SECOND, Input::Time), std::slice::from_ref(&renewal));
        assert_eq!(replica.step(6 * SECOND, answered(Answer::Failed)), []);
        assert_eq!(replica.step(replica.deadline().unwrap(), Input::Time), [renewal]);
        assert!(replica.is_leading(Duration::from_millis(9_999)) && !replica.is_leading(10 * SECOND));
        assert_eq!(replica.step(10 * SECOND, Input::Time), [Action::StopLeading]);
        // the write was sent at 7.5 s, so its time is over at 17.5 s
        let late = replica.step(18 * SECOND, answered(Answer::Written(lease("me", "2"))));
        assert_eq!(late.len(), 1, "{late:?}");
        assert!(matches!(late[0], Action::Replace { .. }));
    }

    #[test]
    fn o29_a_foreign_lease_expires_by_the_own_clock() {
        let mut replica = replica();
        replica.step(Duration::ZERO, Input::Time);
        assert_eq!(replica.step(SECOND, answered(Answer::Found(lease("other", "1")))), []);
        let mut now = SECOND;
        for _ in 0..2 {
            now = replica.deadline().unwrap();
            assert_eq!(replica.step(now, Input::Time), [Action::Get]);
            assert_eq!(replica.step(now, answered(Answer::Found(lease("other", "1")))), []);
        }
        assert_eq!((now, replica.deadline()), (11 * SECOND, Some(16 * SECOND)));
        // a change restarts the time
        replica.step(11 * SECOND, Input::Time);
        let expired = replica.step(16 * SECOND, Input::Time);
        let taken = Lease { transitions: 4, ..lease("me", "1") };
        assert_eq!(expired, [Action::Replace { lease: taken, is_acquired: true }]);
        assert_eq!(replica.step(16 * SECOND, answered(Answer::Conflict)), [Action::Get]);
        assert_eq!(replica.step(16 * SECOND, answered(Answer::Found(lease("other", "2")))), []);
        assert!(replica.deadline() > Some(20 * SECOND));
    }

    #[test]
    fn o29_a_lost_lease_stops_the_leader_at_once() {
        let mut replica = leader();
        replica.step(5 * SECOND, Input::Time);
        assert_eq!(replica.step(5 * SECOND, answered(Answer::Conflict)), [Action::Get]);
        assert!(replica.is_leading(5 * SECOND));
        assert_eq!(
            replica.step(6 * SECOND, answered(Answer::Found(lease("other", "9")))),
            [Action::StopLeading]
        );
    }

    #[test]
    fn o29_release_frees_the_lease_after_the_request_in_hand() {
        let mut replica = leader();
        replica.step(5 * SECOND, Input::Time);
        assert_eq!(replica.step(6 * SECOND, Input::Release), [Action::StopLeading]);
        let freed = replica.step(6 * SECOND, answered(Answer::Written(lease("me", "2"))));
        assert_eq!(freed, [Action::Replace { lease: lease("", "2"), is_acquired: false }]);
        assert_eq!(replica.step(6 * SECOND, answered(Answer::Written(lease("", "3")))), [Action::Ended]);
        assert_eq!(replica.deadline(), None);
        assert_eq!(replica.step(7 * SECOND, Input::Time), []);
    }

    #[test]
    fn o29_an_answer_without_a_new_version_is_no_renewal() {
        let mut replica = leader();
        replica.step(5 * SECOND, Input::Time);
        assert_eq!(replica.step(5 * SECOND, answered(Answer::Written(lease("me", "1")))), []);
        assert!(!replica.is_leading(10 * SECOND));
    }
}
