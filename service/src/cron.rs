//! Cron expressions: five fields (minute, hour, day of month, month, day of week) as bit sets, in civil time.

use std::fmt;
use std::str::FromStr;

/// Years in which the next time is looked for: more than the eight between two leap days.
const YEARS: i16 = 9;

/// A minute of a calendar, without a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute {
    /// Year.
    pub year: i16,
    /// Month, from 1.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, from 0.
    pub hour: u8,
    /// Minute, from 0.
    pub minute: u8,
}

/// A cron expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day must match both fields of days, because one of them is `*`; else one is enough.
    needs_both: bool,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronError(String);

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CronError {}

/// One field: its name, range, and names of values from the first one on.
struct Part {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const PARTS: [Part; 5] = [
    Part { name: "minute", first: 0, last: 59, names: &[] },
    Part { name: "hour", first: 0, last: 23, names: &[] },
    Part { name: "day of month", first: 1, last: 31, names: &[] },
    Part {
        name: "month",
        first: 1,
        last: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Part {
        name: "day of week",
        first: 0,
        // 7 is Sunday, too
        last: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            text => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(CronError(format!(
                "`{text}` has {} fields; write minute, hour, day of month, month and day of week",
                fields.len()
            )));
        };
        let [minute, hour, day, month, weekday] = &PARTS;
        let mut cron = Self {
            minutes: minute.read(minutes)?,
            hours: hour.read(hours)?,
            days: day.read(days)?,
            months: month.read(months)?,
            weekdays: weekday.read(weekdays)?,
            needs_both: days.starts_with(['*', '?']) || weekdays.starts_with(['*', '?']),
        };
        if cron.weekdays >> 7 & 1 == 1 {
            cron.weekdays |= 1;
        }
        let year = Minute { year: 2024, month: 1, day: 1, hour: 0, minute: 0 };
        match cron.next(year) {
            Some(_) => Ok(cron),
            None => Err(CronError(format!("`{text}` names a day that does not exist"))),
        }
    }
}

impl Part {
    /// The values of a field as bits.
    fn read(&self, text: &str) -> Result<u64, CronError> {
        text.split(',').try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, CronError> {
        let wrong =
            || CronError(format!("`{item}` is not a {}: use {} to {}", self.name, self.first, self.last));
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (item, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.first, self.last.min(self.wildcard_last())),
            Some((first, last)) => {
                (self.value(first).ok_or_else(wrong)?, self.value(last).ok_or_else(wrong)?)
            }
            None => {
                let value = self.value(range).ok_or_else(wrong)?;
                // `5/10` begins at 5
                (value, if item.contains('/') { self.last.min(self.wildcard_last()) } else { value })
            }
        };
        if first > last {
            return Err(wrong());
        }
        Ok((first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    /// The last value of `*`: Sunday counts once.
    fn wildcard_last(&self) -> u32 {
        if self.last == 7 { 6 } else { self.last }
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().zip(self.first..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = named.map(|(_, value)| value).or_else(|| text.parse().ok())?;
        (self.first..=self.last).contains(&value).then_some(value)
    }
}

impl Cron {
    /// The first matching minute after `after`.
    pub fn next(&self, after: Minute) -> Option<Minute> {
        let mut at = Minute { hour: 0, minute: 0, ..after };
        // the rest of the first day
        if self.matches_day(at)
            && let Some((hour, minute)) = self.time_after(after.hour, after.minute)
        {
            return Some(Minute { hour, minute, ..after });
        }
        while at.year <= after.year.saturating_add(YEARS) {
            at = next_day(at);
            if self.months >> at.month & 1 == 0 {
                // to the last day of the month
                at.day = days_of(at.year, at.month);
                continue;
            }
            if self.matches_day(at) {
                let (hour, minute) = (self.hours.trailing_zeros() as u8, self.minutes.trailing_zeros() as u8);
                return Some(Minute { hour, minute, ..at });
            }
        }
        None
    }

    fn matches_day(&self, at: Minute) -> bool {
        let day = self.days >> at.day & 1 == 1;
        let weekday = self.weekdays >> weekday(at.year, at.month, at.day) & 1 == 1;
        let is_day = if self.needs_both { day && weekday } else { day || weekday };
        is_day && self.months >> at.month & 1 == 1
    }

    /// The first matching time of a day after a time.
    fn time_after(&self, hour: u8, minute: u8) -> Option<(u8, u8)> {
        let later = |bits: u64, from: u8| (from..64).find(|value| bits >> value & 1 == 1);
        if self.hours >> hour & 1 == 1
            && let Some(minute) = later(self.minutes, minute + 1)
        {
            return Some((hour, minute));
        }
        Some((later(self.hours, hour + 1)?, self.minutes.trailing_zeros() as u8))
    }
}

fn days_of(year: i16, month: u8) -> u8 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u8::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn next_day(at: Minute) -> Minute {
    if at.day < days_of(at.year, at.month) {
        Minute { day: at.day + 1, ..at }
    } else if at.month < 12 {
        Minute { month: at.month + 1, day: 1, ..at }
    } else {
        Minute { year: at.year + 1, month: 1, day: 1, ..at }
    }
}

/// Day of the week, from 0 for Sunday (Sakamoto's method).
fn weekday(year: i16, month: u8, day: u8) -> u32 {
    const OFFSETS: [i32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = i32::from(year) - i32::from(month < 3);
    let offset = OFFSETS[usize::from(month.clamp(1, 12)) - 1];
    (year + year / 4 - year / 100 + year / 400 + offset + i32::from(day)).rem_euclid(7) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Minute {
        let numbers: Vec<i16> = text.split(['-', ' ', ':']).map(|part| part.parse().unwrap()).collect();
        let [year, month, day, hour, minute] = numbers[..] else { unreachable!("{text}") };
        Minute { year, month: month as u8, day: day as u8, hour: hour as u8, minute: minute as u8 }
    }

    #[test]
    fn next_times() {
        // 2026-11-29 is a Sunday
        for (cron, after, next) in [
            ("* * * * *", "2026-11-29 05:21", "2026-11-29 05:22"),
            ("*/15 * * * *", "2026-11-29 05:45", "2026-11-29 06:00"),
            ("5/20 3 * * *", "2026-11-29 03:05", "2026-11-29 03:25"),
            ("0 3 * * mon-fri", "2026-11-29 05:00", "2026-11-30 03:00"),
            ("0 3 * * 7", "2026-11-29 02:59", "2026-11-29 03:00"),
            ("0 3 * * SUN", "2026-11-29 03:00", "2026-12-06 03:00"),
            ("30 23 31 * *", "2026-11-29 00:00", "2026-12-31 23:30"),
            ("0 0 29 2 *", "2026-11-29 00:00", "2028-02-29 00:00"),
            ("0 0 13 * 5", "2026-11-29 00:00", "2026-12-04 00:00"),
            ("0 0 1 jan,jul *", "2026-11-29 00:00", "2027-01-01 00:00"),
            ("@hourly", "2026-12-31 23:59", "2027-01-01 00:00"),
            ("@weekly", "2026-11-29 00:00", "2026-12-06 00:00"),
        ] {
            assert_eq!(cron.parse::<Cron>().unwrap().next(at(after)), Some(at(next)), "{cron} after {after}");
        }
    }

    #[test]
    fn wrong_expressions_are_refused() {
        for (cron, words) in [
            ("* * * *", "has 4 fields"),
            ("60 * * * *", "`60` is not a minute: use 0 to 59"),
            ("* * 0 * *", "day of month"),
            ("* * * foo *", "month"),
            ("* * * * 8", "day of week"),
            ("*/0 * * * *", "`*/0`"),
            ("5-1 * * * *", "`5-1`"),
            ("0 0 30 2 *", "does not exist"),
            ("", "has 0 fields"),
        ] {
            let error = cron.parse::<Cron>().unwrap_err().to_string();
            assert!(error.contains(words), "{cron}: {error}");
        }
    }

    proptest! {
        /// The next minute is the first one that matches, when minutes are tried one after the other.
        #[test]
        fn next_equals_a_search_by_minutes(minute in 0..60_u8, hour in 0..24_u8, step in 1..30_u8, weekday in 0..7_u8, start in 0..40_000_u32) {
            let cron: Cron = format!("{minute}/{step} {hour},5 * * {weekday}").parse().unwrap();
            let mut now = Minute { year: 2027, month: 12, day: 1, hour: 0, minute: 0 };
            let forward = |now: Minute| match (now.minute, now.hour) {
                (59, 23) => Minute { hour: 0, minute: 0, ..next_day(now) },
                (59, _) => Minute { hour: now.hour + 1, minute: 0, ..now },
                _ => Minute { minute: now.minute + 1, ..now },
            };
            for _ in 0..start {
                now = forward(now);
            }
            let next = cron.next(now).unwrap();
            let is_match = |at: Minute| {
                cron.matches_day(at) && cron.hours >> at.hour & 1 == 1 && cron.minutes >> at.minute & 1 == 1
            };
            let mut searched = forward(now);
            while !is_match(searched) {
                searched = forward(searched);
            }
            prop_assert_eq!(next, searched);
        }
    }
}
