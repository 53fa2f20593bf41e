//! Names of containers and pods, made from the launch, in characters that every platform accepts.

/// Longest name in bytes: the limit of a label value and of a host name.
const LONGEST: usize = 63;
/// Length of the digest that makes a name unique, in hexadecimal digits.
const DIGEST: usize = 10;

/// The name of a launch's container or pod: always the same for a launch, and unique to it. Creating it twice
/// therefore fails with a conflict.
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
    fn f35_names_are_valid_everywhere_and_unique() {
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
