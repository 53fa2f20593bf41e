//! Time zones as a port, and the times of a schedule.

use crate::cron::{Cron, Minute};
use crate::object::Object;
use pop_contract::Millis;

/// Time zones. The service itself has no clock and no files.
pub trait Calendar: Send + Sync {
    /// The civil time in a zone; an error names an unknown zone.
    fn civil(&self, zone: &str, at: Millis) -> Result<Minute, String>;
    /// The time of a civil minute. One that a clock change leaves out is moved after the change; of one that comes twice, the
    /// first is taken.
    fn time(&self, zone: &str, minute: Minute) -> Result<Millis, String>;
}

/// The times of a schedule.
pub(crate) struct Timetable<'s> {
    cron: Cron,
    zone: &'s str,
}

impl<'s> Timetable<'s> {
    /// Reads `cron` and `timeZone` (default UTC).
    pub(crate) fn of(schedule: &'s Object) -> Result<Self, String> {
        let text = schedule.text("cron").unwrap_or_default();
        let cron = text.parse().map_err(|error| format!("`cron`: {error}"))?;
        Ok(Self { cron, zone: schedule.text("timeZone").unwrap_or("UTC") })
    }

    /// The first time after `after`.
    pub(crate) fn next(&self, calendar: &dyn Calendar, after: Millis) -> Result<Option<Millis>, String> {
        let mut civil = calendar.civil(self.zone, after)?;
        while let Some(next) = self.cron.next(civil) {
            let time = calendar.time(self.zone, next)?;
            // when clocks go back, a civil time may lie before `after`
            if time > after {
                return Ok(Some(time));
            }
            civil = next;
        }
        Ok(None)
    }
}
