//! Times as text.

use pop_contract::Millis;

/// A time in UTC, as RFC 3339 with milliseconds; empty if it is beyond the calendar.
pub(super) fn instant(time: Millis) -> String {
    let known = i64::try_from(time).ok().and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
    known.map(|time| format!("{time:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_a_zone() {
        assert_eq!(instant(1_767_323_045_006), "2026-01-02T03:04:05.006Z");
        assert_eq!(instant(u64::MAX), "");
    }
}
