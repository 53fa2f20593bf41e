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

/// Problems of a schedule that is stored.
pub(super) fn problems(schedule: &Object, calendar: &dyn Calendar) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(error) = Timetable::of(schedule).and_then(|timetable| timetable.next(calendar, 0)) {
        problems.push(error);
    }
    if CatchUp::parse(schedule.text("catchUp")).is_none() {
        problems.push("`catchUp` must be `none`, `one` or `all`".to_owned());
    }
    if !matches!(schedule.text("overlap"), None | Some("skip" | "allow")) {
        problems.push("`overlap` must be `skip` or `allow`".to_owned());
    }
    problems
}

impl Service<'_> {
    /// Sets the next time of a schedule that is stored.
    pub(super) fn plan(&mut self, schedule: &mut Object) -> Result<(), ServiceError> {
        let is_paused = schedule.0.get("isPaused").and_then(Value::as_bool).unwrap_or_default();
        let next = if is_paused { None } else { next_time(schedule, self.calendar, self.now)? };
        schedule.set("nextTime", next);
        self.ledger.set_timer(Kind::Schedule, schedule.id(), next)?;
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
        for time in policy.select(times, self.now) {
            schedule.set("lastTime", time);
            match self.scheduled_agenda(&schedule, time) {
                Ok(Some(agenda)) => {
                    schedule.set("lastAgendaId", agenda);
                    schedule.0.remove("lastProblem");
                }
                Ok(None) => schedule.set("lastProblem", "left out: the agenda before it has not ended"),
                Err(error @ ServiceError::Ledger(_)) => return Err(error),
                Err(error) => schedule.set("lastProblem", error.to_string()),
            }
        }
        self.plan(&mut schedule)?;
        self.store(Kind::Schedule, &mut schedule)?;
        Ok(())
    }

    /// Makes the agenda of one time; none if the one before it has not ended.
    fn scheduled_agenda(&mut self, schedule: &Object, time: Millis) -> Result<Option<String>, ServiceError> {
        if schedule.text("overlap") != Some("allow")
            && let Some(last) = schedule.text("lastAgendaId")
            && let Some(work) = self.ledger.work(last)?
            && !matches!(work.state, WorkState::Ended(_) | WorkState::Parked)
        {
            return Ok(None);
        }
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
        let created = self.create_agenda(agenda)?;
        Ok(Some(created.agenda.id().to_owned()))
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
