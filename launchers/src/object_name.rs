//! What containers and pods are called: by the launch that they are, in letters that every platform takes.

/// The longest name: that of a label's value and of a host.
const LONGEST: usize = 63;
/// How many digits of a digest make a name its own.
const DIGEST: usize = 10;

/// The name of a launch's container or pod. The same launch has the same name for ever, and no other launch has it:
/// whoever creates it twice is told so by the platform.
pub(crate) fn object_name(prefix: &str, launch: &str) -> String {
    let mut name = String::with_capacity(LONGEST);
    for letter in prefix.chars().chain(launch.chars()) {
        match letter.to_ascii_lowercase() {
            plain @ ('a'..='z' | '0'..='9') => name.push(plain),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(LONGEST - 1 - DIGEST);
    let digest = blake3::hash(launch.as_bytes()).to_hex();
    let name = name.trim_end_matches('-');
    let begins = if name.is_empty() { "pop" } else { name };
    format!("{begins}-{}", &digest[..DIGEST])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f35_names_are_legal_everywhere_and_never_shared() {
        let mut seen = std::collections::HashSet::new();
        let long = "x".repeat(200);
        for launch in ["r-a-1", "r-A-1", "r-a.1", "r-%c3%a4-1", "--", "", &long, &format!("{long}y")] {
            let name = object_name("Pop_probe-", launch);
            let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.len() <= 63 && name.chars().all(is_legal), "{name}");
            assert!(name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-'), "{name}");
            assert!(seen.insert(name));
        }
        assert!(object_name("", "run-probe-1").starts_with("run-probe-1-"));
        assert_eq!(object_name("", "run-probe-1"), object_name("", "run-probe-1"));
    }
}
