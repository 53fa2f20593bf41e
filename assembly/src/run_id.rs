//! Ids and marks of new runs.

/// An id that sorts by time and is short enough to say: the second, and the part of it in 65,536ths.
pub(crate) fn new_id() -> String {
    let now = jiff::Timestamp::now();
    let part = (i64::from(now.subsec_nanosecond()).max(0) << 16) / 1_000_000_000;
    format!("{}-{part:04x}", now.strftime("%Y%m%d-%H%M%S"))
}

/// The mark of a run whose id was chosen. It tells its programs from those of another run of that id, in another folder or
/// on another machine, so nobody ends them or takes them over. It is the value of a label, as ids are.
pub(crate) fn new_mark(id: &str) -> String {
    let own = uuid::Uuid::new_v4().simple().to_string();
    format!("{}.{}", id.get(..54).unwrap_or(id), &own[..8])
}
