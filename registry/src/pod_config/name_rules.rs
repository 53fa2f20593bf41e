//! Rules for names, labels and paths, as Kubernetes validates them.

/// A rule for a string: a predicate, and its description for messages.
pub(crate) type Rule = (fn(&str) -> bool, &'static str);

/// Name of an object: a config map, a secret, a service account.
pub(crate) const NAME: Rule = (
    |text| text.len() <= 253 && text.split('.').all(|part| is_name_part(part, 253)),
    "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
);
/// Prefix of a pod's name.
pub(crate) const PREFIX: Rule = (
    |text| text.len() <= 63 && is_name_part(text.trim_end_matches('-'), 63),
    "at most 63 lower-case letters, digits and `-`, beginning with a letter or digit",
);
/// Name of a volume.
pub(crate) const SHORT_NAME: Rule = (
    |text| is_name_part(text, 63),
    "at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit",
);
/// A key of a config map or secret.
pub(crate) const KEY: Rule = (
    |text| {
        !text.is_empty() && text.len() <= 253 && text.bytes().all(is_key_byte) && !matches!(text, "." | "..")
    },
    "letters, digits, `-`, `_` and `.`",
);
/// Key of a label.
pub(crate) const LABEL_KEY: Rule = (
    |text| match text.split_once('/') {
        Some((prefix, name)) => NAME.0(prefix) && !name.is_empty() && LABEL_VALUE.0(name),
        None => !text.is_empty() && LABEL_VALUE.0(text),
    },
    "at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit, \
     optionally after a domain and `/`",
);
/// Value of a label or taint.
pub(crate) const LABEL_VALUE: Rule = (
    |text| text.len() <= 63 && text.bytes().all(is_key_byte) && has_alphanumeric_ends(text),
    "at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit",
);
/// Name of an environment variable.
pub(crate) const VARIABLE: Rule = (
    |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'='),
    "printable ASCII characters without `=` and spaces",
);
/// Absolute path.
pub(crate) const ABSOLUTE: Rule = (
    |text| text.starts_with('/') && text.split('/').all(|step| step != "..") && !text.contains([':', '\0']),
    "a path from `/` without `..` and `:`",
);
/// Relative path inside a folder.
pub(crate) const RELATIVE: Rule = (
    |text| {
        let steps = || text.split('/');
        !text.is_empty() && !text.starts_with('/') && !text.contains('\0') && steps().all(|step| step != "..")
    },
    "a relative path without `..`",
);
/// Host of a URL.
pub(crate) const HOST: Rule = (
    |text| {
        !text.is_empty() && text.bytes().all(|byte| is_key_byte(byte) || matches!(byte, b':' | b'[' | b']'))
    },
    "a host name or address",
);
/// Path of a URL.
pub(crate) const URL_PATH: Rule = (
    |text| {
        let is_of_path = |byte: u8| is_key_byte(byte) || matches!(byte, b'/' | b'~' | b'%' | b'?' | b'=');
        text.starts_with('/') && text.bytes().all(is_of_path)
    },
    "a path from `/` without special characters",
);
/// Non-empty text of one line.
pub(crate) const ONE_LINE: Rule =
    (|text| !text.is_empty() && !text.contains(char::is_control), "text of one line");

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn has_alphanumeric_ends(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.into_iter().flatten().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_name_part(text: &str, most: usize) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= most && text.bytes().all(is_of_name) && has_alphanumeric_ends(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_accepts_what_kubernetes_accepts() {
        let long = "a".repeat(64);
        for ((is_valid, must), good, bad) in [
            (NAME, ["a", "pop-x.01"], ["", "A", "-a", "a_b", "a..b"]),
            (PREFIX, ["a", "pop-sample-"], ["", "-", "-a", "A", &long]),
            (SHORT_NAME, ["a", "pop-sample"], ["", "a.b", "a-", "a b", &long]),
            (KEY, ["a", "Env_x.properties"], ["", "a/b", "..", "a b", "é"]),
            (LABEL_KEY, ["app", "pop.example/Tier_1"], ["", "/a", "a/", "a b", "A/b"]),
            (LABEL_VALUE, ["", "v1.2_x"], ["-a", "a.", "a b", "é", &long]),
            (VARIABLE, ["A", "pop.x-y"], ["", "A=B", "A B", "A\0", "é"]),
            (ABSOLUTE, ["/", "/var/run/x.sock"], ["", "a", "/a/../b", "/a:b", "./a"]),
            (RELATIVE, ["a", "a/b.txt"], ["", "/a", "../a", "a/..", "a\0"]),
            (HOST, ["exam-ple.com", "[::1]"], ["", "a b", "a;b", "$a", "`a`"]),
            (URL_PATH, ["/", "/management/alive?x=1"], ["", "a", "/a b", "/a;b", "/$(a)"]),
            (ONE_LINE, ["a", "a b:1"], ["", "\0", "a\n", "\u{1b}", "a\tb"]),
        ] {
            assert!(good.iter().all(|text| is_valid(text)), "{must}: {good:?}");
            assert!(!bad.iter().any(|text| is_valid(text)), "{must}: {bad:?}");
        }
    }
}
