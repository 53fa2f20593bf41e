//! Schedules: agendas made from templates at times of a calendar.

use super::Service;
use crate::calendar::{Calendar, Timetable};
use crate::error::ServiceError;
use crate::object::{Kind, Object};
use crate::work::WorkState;
use pop_contract::Millis;
use serde_json::{Value, json};

/// Missed times of one schedule that are caught up at most.
const MOST_MISSED: usize = 100;
/// A time that is at most so late was not missed, in milliseconds.
const PUNCTUAL: Millis = 60_000;

/// What becomes of times at which the service did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CatchUp {
    /// They are left out.
    None,
    /// The last one is made up for.
    One,
    /// All are made up for, at most [`MOST_MISSED`].
    All,
}

impl CatchUp {
    fn parse(word: Option<&str>) -> Option<Self> {
        Some(match word {
            None | Some("one") => Self::One,
            Some("none") => Self::None,
            Some("all") => Self::All,
            Some(_) => return None,
        })
    }

    /// The times for which agendas are made, of those that are due.
    fn select(self, due: Vec<Millis>, now: Millis) -> Vec<Millis> {
        let last = due.last().copied();
        match self {
            Self::All => due,
            Self::One => last.into_iter().collect(),
            Self::None => last.into_iter().filter(|at| now.saturating_sub(*at) <= PUNCTUAL).collect(),
        }
    }
}

/// What becomes of a time at which the agenda before has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overlap {
    /// It is left out.
    Skip,
    /// It waits until that agenda has ended.
    Queue,
    /// That agenda is cancelled.
    Replace,
    /// Both agendas run.
    Allow,
}

impl Overlap {
    fn parse(word: Option<&str>) -> Option<Self> {
        Some(match word {
            None | Some("skip") => Self::Skip,
            Some("queue") => Self::Queue,
            Some("replace") => Self::Replace,
            Some("allow") => Self::Allow,
            Some(_) => return None,
        })
    }
}

/// Field of an agenda: the schedule that has made it.
const SCHEDULE: &str = "scheduleId";
/// Field of a schedule: times that wait for the end of the agenda before.
const QUEUED: &str = "queuedTimes";

/// Times that wait for the end of the agenda before, oldest first.
fn queued(schedule: &Object) -> Vec<Millis> {
    schedule.list(QUEUED).iter().filter_map(Value::as_u64).collect()
}

/// Problems of a schedule that is stored.
pub(super) fn problems(schedule: &Object, calendar: &dyn Calendar) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(error) = Timetable::of(schedule).and_then(|timetable| timetable.next(calendar, 0)) {
        problems.push(error);
    }
    if CatchUp::parse(schedule.text("catchUp")).is_none() {
        problems.push("`catchUp` must be `none`, `one` or `all`".to_owned());
    }
    if Overlap::parse(schedule.text("overlap")).is_none() {
        problems.push("`overlap` must be `skip`, `queue`, `replace` or `allow`".to_owned());
    }
    problems
}

impl Service<'_> {
    /// Sets the next time of a schedule that is stored.
    pub(super) fn plan(&mut self, schedule: &mut Object) -> Result<(), ServiceError> {
        let is_paused = schedule.0.get("isPaused").and_then(Value::as_bool).unwrap_or_default();
        let next = if is_paused { None } else { next_time(schedule, self.calendar, self.now)? };
        schedule.set("nextTime", next);
        let may_continue =
            !is_paused && !queued(schedule).is_empty() && self.running_agenda(schedule)?.is_none();
        let timer = if may_continue { Some(self.now) } else { next };
        self.ledger.set_timer(Kind::Schedule, schedule.id(), timer)?;
        self.effects.has_timer = true;
        Ok(())
    }

    /// Makes the agendas of schedules whose time has come, at most `limit` schedules; returns their number and the next time.
    pub fn run_schedules(&mut self, limit: u32) -> Result<(usize, Option<Millis>), ServiceError> {
        let due = self.ledger.due_timers(Kind::Schedule, self.now, limit)?;
        for id in &due {
            match self.ledger.object(Kind::Schedule, id)? {
                Some(schedule) => self.run_schedule(schedule)?,
                None => self.ledger.set_timer(Kind::Schedule, id, None)?,
            }
        }
        Ok((due.len(), self.ledger.next_timer(Kind::Schedule)?))
    }

    fn run_schedule(&mut self, mut schedule: Object) -> Result<(), ServiceError> {
        let mut times = Vec::new();
        let mut at = schedule.0.get("nextTime").and_then(Value::as_u64);
        while let Some(time) = at.filter(|time| *time <= self.now) {
            if times.len() == MOST_MISSED {
                // the oldest ones are left out
                times.remove(0);
            }
            times.push(time);
            at = next_time(&schedule, self.calendar, time)?;
        }
        let policy = CatchUp::parse(schedule.text("catchUp")).unwrap_or(CatchUp::One);
        let mut waiting = Vec::new();
        for time in queued(&schedule).into_iter().chain(policy.select(times, self.now)) {
            self.run_time(&mut schedule, time, &mut waiting)?;
        }
        if waiting.len() > MOST_MISSED {
            schedule.set("lastProblem", format!("left out: more than {MOST_MISSED} times wait"));
            waiting.drain(..waiting.len() - MOST_MISSED);
        }
        if waiting.is_empty() {
            schedule.0.remove(QUEUED);
        } else {
            schedule.set(QUEUED, waiting);
        }
        self.plan(&mut schedule)?;
        self.store(Kind::Schedule, &mut schedule)?;
        Ok(())
    }

    /// Makes the agenda of one time, unless the one before it prevents that.
    fn run_time(
        &mut self,
        schedule: &mut Object,
        time: Millis,
        waiting: &mut Vec<Millis>,
    ) -> Result<(), ServiceError> {
        if let Some(running) = self.running_agenda(schedule)? {
            match Overlap::parse(schedule.text("overlap")).unwrap_or(Overlap::Skip) {
                Overlap::Allow => {}
                Overlap::Replace => self.cancel(&running, &format!("schedule {}", schedule.id()))?,
                Overlap::Queue => {
                    waiting.push(time);
                    return Ok(());
                }
                Overlap::Skip => {
                    schedule.set("lastTime", time);
                    schedule.set("lastProblem", "left out: the agenda before it has not ended");
                    return Ok(());
                }
            }
        }
        schedule.set("lastTime", time);
        match self.scheduled_agenda(schedule, time) {
            Ok(agenda) => {
                schedule.set("lastAgendaId", agenda);
                schedule.0.remove("lastProblem");
            }
            Err(error @ ServiceError::Ledger(_)) => return Err(error),
            Err(error) => schedule.set("lastProblem", error.to_string()),
        }
        Ok(())
    }

    /// The last agenda of a schedule, if it has not ended.
    fn running_agenda(&mut self, schedule: &Object) -> Result<Option<String>, ServiceError> {
        let Some(last) = schedule.text("lastAgendaId") else { return Ok(None) };
        let work = self.ledger.work(last)?;
        let is_running =
            work.is_some_and(|work| !matches!(work.state, WorkState::Ended(_) | WorkState::Parked));
        Ok(is_running.then(|| last.to_owned()))
    }

    /// An agenda has its outcome: its schedule may continue with a time that waits.
    pub(super) fn continue_schedule(&mut self, agenda: &str) -> Result<(), ServiceError> {
        let Some(agenda) = self.ledger.object(Kind::Agenda, agenda)? else { return Ok(()) };
        let Some(schedule) = agenda.text(SCHEDULE) else { return Ok(()) };
        let Some(mut schedule) = self.ledger.object(Kind::Schedule, schedule)? else { return Ok(()) };
        if !queued(&schedule).is_empty() {
            self.plan(&mut schedule)?;
        }
        Ok(())
    }

    fn scheduled_agenda(&mut self, schedule: &Object, time: Millis) -> Result<String, ServiceError> {
        let mut payload = schedule.0.get("payload").filter(|payload| !payload.is_null()).cloned();
        if let Value::Object(payload) = payload.get_or_insert_with(|| json!({})) {
            payload.insert("scheduledTime".to_owned(), json!(time));
        }
        let template = schedule.text("agendaTemplateId").unwrap_or_default();
        let mut agenda = self.instantiate(template, &payload.unwrap_or_default())?;
        for name in ["customerId", "linkId"] {
            if let Some(value) = schedule.text(name) {
                agenda.set(name, value);
            }
        }
        agenda.set(SCHEDULE, schedule.id());
        let created = self.create_agenda(agenda)?;
        Ok(created.agenda.id().to_owned())
    }
}

fn next_time(
    schedule: &Object,
    calendar: &dyn Calendar,
    after: Millis,
) -> Result<Option<Millis>, ServiceError> {
    let next = Timetable::of(schedule).and_then(|timetable| timetable.next(calendar, after));
    next.map_err(ServiceError::invalid)
}
