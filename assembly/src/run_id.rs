//! Ids and marks of new runs.

/// A short id that sorts by time: the second, and the fraction of the second in 1/65,536.
pub(crate) fn new_id() -> String {
    let now = jiff::Timestamp::now();
    let part = (i64::from(now.subsec_nanosecond()).max(0) << 16) / 1_000_000_000;
    format!("{}-{part:04x}", now.strftime("%Y%m%d-%H%M%S"))
}

/// The mark of a run whose id the user set. Another run may have the same id in another folder or on another machine;
/// because of the mark it neither ends nor follows this run's programs. Like an id, the mark is a valid label value.
pub(crate) fn new_mark(id: &str) -> String {
    let own = uuid::Uuid::new_v4().simple().to_string();
    format!("{}.{}", id.get(..54).unwrap_or(id), &own[..8])
}
