//! Names and labels of the objects of a run.

/// Label of a child with the name of its run.
pub(crate) const RUN: &str = "pop-rs.dev/run";
/// Label of a child with the hash of the fields that its run depends on.
pub(crate) const RUN_KEY: &str = "pop-rs.dev/run-key";
/// Label of an executor pod with its number in the run, from 1.
pub(crate) const POD_NUMBER: &str = "pop-rs.dev/executor-pod";
/// Label of an executor pod with the number of pods of its run that were evicted or lost before it.
pub(crate) const LOST_PODS: &str = "pop-rs.dev/lost-pods";

/// Longest beginning of a name, so that the rest fits into a label value of 63 characters.
const LONGEST: usize = 40;
/// Characters of the hash in a name that was cut.
const HASH: usize = 8;

/// The name of the run that a generation of an Agenda starts. It is a DNS label.
pub(crate) fn run_id(agenda: &str, generation: i64) -> String {
    // an object may have dots in its name, a label of a host may not
    let plain = agenda.replace('.', "-");
    let base = if plain.len() <= LONGEST && plain == agenda {
        plain
    } else {
        let hash = blake3::hash(agenda.as_bytes()).to_hex();
        let cut: String = plain.chars().take(LONGEST - HASH - 1).collect();
        format!("{}-{}", cut.trim_end_matches('-'), &hash[..HASH])
    };
    format!("{base}-g{generation}")
}

/// The name of an executor pod, and of the ConfigMap with the progress from which it starts.
pub(crate) fn pod(run: &str, number: u32) -> String {
    format!("{run}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_and_differ() {
        assert_eq!(run_id("nightly", 3), "nightly-g3");
        let long = "x".repeat(253);
        let names =
            [run_id("a.b", 1), run_id("a-b", 1), run_id(&long, i64::MAX), run_id(&long[1..], i64::MAX)];
        for name in &names {
            assert!(pod(name, 1).len() <= 64 && !name.contains('.'), "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }
}
