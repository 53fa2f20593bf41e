//! "Did you mean": the name most similar to a mistyped one.

/// Words that are less similar are no typing errors of each other.
const LEAST: f64 = 0.85;
/// Similarity of words with two letters swapped.
const SWAPPED: f64 = 0.9;

/// The candidate most similar to `word`, if one is similar enough to be a typing error.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let name = candidate.to_lowercase();
        let score =
            strsim::jaro_winkler(&lower, &name).max(if is_swapped(&lower, &name) { SWAPPED } else { 0.0 });
        // of two equally similar names take the first, so that the message is the same in every run
        let is_nearer = |(found, name)| score > found || (score == found && candidate < name);
        if score > LEAST && best.is_none_or(is_nearer) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Whether two neighbouring letters are swapped, as in `tow` and `two`. In short words, Jaro-Winkler does not see it.
fn is_swapped(one: &str, other: &str) -> bool {
    let letters = one.chars().zip(other.chars()).enumerate();
    let mut others = letters.filter(|(_, (one, other))| one != other);
    let is_neighbour =
        |(at, (one, other)), (next, (after, before))| next == at + 1 && one == before && other == after;
    let pair = others.next().zip(others.next());
    one.len() == other.len()
        && pair.is_some_and(|(first, second)| is_neighbour(first, second))
        && others.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn mistyped_names_match_and_unrelated_names_do_not() {
        let words = ["probe", "transcode", "thumbnail"];
        assert_eq!(nearest("prbe", words), Some("probe"));
        assert_eq!(nearest("Transcod", words), Some("transcode"));
        assert_eq!(nearest("package", words), None);
        assert_eq!(nearest("tow", ["one", "two", "tor"]), Some("two"));
        assert_eq!(nearest("ab", ["ac", "b", "xy"]), None);
        assert_eq!(nearest("probe0", ["probe2", "probe1", "probe3"]), Some("probe1"));
    }
}
