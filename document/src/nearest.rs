//! "Did you mean": the name most similar to a mistyped one.

/// The candidate most similar to `word`, if one is similar enough to be a typing error.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let score = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
        // of two equally similar names take the first, so that the message is the same in every run
        let is_nearer = |(found, name)| score > found || (score == found && candidate < name);
        if score > 0.85 && best.is_none_or(is_nearer) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
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
        assert_eq!(nearest("probe0", ["probe2", "probe1", "probe3"]), Some("probe1"));
    }
}
