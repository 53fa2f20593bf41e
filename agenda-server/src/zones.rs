//! Time zones of this machine.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use pop_service::{Calendar, Minute};

/// The zones of the system's database.
pub(crate) struct Zones;

fn zone(name: &str) -> Result<TimeZone, String> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|error| format!("`timeZone`: {error}"))
}

impl Calendar for Zones {
    fn civil(&self, name: &str, at: u64) -> Result<Minute, String> {
        let zone = zone(name)?;
        let at = i64::try_from(at).map_err(|error| error.to_string())?;
        let at = Timestamp::from_millisecond(at).map_err(|error| error.to_string())?.to_zoned(zone);
        Ok(Minute {
            year: at.year(),
            month: at.month() as u8,
            day: at.day() as u8,
            hour: at.hour() as u8,
            minute: at.minute() as u8,
        })
    }

    fn time(&self, name: &str, minute: Minute) -> Result<u64, String> {
        let Minute { year, month, day, hour, minute } = minute;
        let small = u8::cast_signed;
        let civil = DateTime::new(year, small(month), small(day), small(hour), small(minute), 0, 0);
        let civil = civil.map_err(|error| error.to_string())?;
        // a time in a gap is moved after it, and of a time that comes twice the first is taken
        let zoned = zone(name)?.to_ambiguous_zoned(civil).compatible().map_err(|error| error.to_string())?;
        u64::try_from(zoned.timestamp().as_millisecond()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_changes_neither_lose_nor_repeat_a_time() {
        let minute = |month, day, hour, minute| Minute { year: 2026, month, day, hour, minute };
        let berlin = "Europe/Berlin";
        // clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 2026-10-25
        let hours = |from: Minute, to: Minute| {
            (Zones.time(berlin, to).unwrap() - Zones.time(berlin, from).unwrap()) / 3_600_000
        };
        assert_eq!(hours(minute(3, 29, 1, 30), minute(3, 29, 3, 30)), 1);
        assert_eq!(Zones.time(berlin, minute(3, 29, 2, 30)), Zones.time(berlin, minute(3, 29, 3, 30)));
        assert_eq!(hours(minute(10, 25, 1, 30), minute(10, 25, 2, 30)), 1);
        assert_eq!(hours(minute(10, 25, 2, 30), minute(10, 25, 3, 30)), 2);
        let noon = minute(7, 1, 12, 0);
        assert_eq!(Zones.civil(berlin, Zones.time(berlin, noon).unwrap()), Ok(noon));
        assert!(Zones.civil("Nowhere/None", 0).unwrap_err().contains("timeZone"));
    }
}
