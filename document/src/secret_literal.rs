//! Detection of secrets in plain text, by the form of a text or by its name.

use crate::{Fault, Pointer, Site};
use aho_corasick::packed::Searcher;
use memchr::memchr_iter;
use serde_json::Value;
use std::sync::LazyLock;

/// Fault code of a secret in plain text. The fault's site contains the secret itself.
pub const SECRET_LITERAL: &str = "secret-literal";

/// A kind of token with known prefixes.
struct TokenForm {
    what: &'static str,
    prefixes: &'static [&'static str],
    /// Minimum number of characters after the prefix.
    least: usize,
}

const FORMS: [TokenForm; 6] = [
    TokenForm { what: "an AWS access key", prefixes: &["AKIA", "ASIA"], least: 16 },
    TokenForm {
        what: "a GitHub token",
        prefixes: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        least: 22,
    },
    TokenForm { what: "a GitLab token", prefixes: &["glpat-"], least: 20 },
    TokenForm { what: "a Slack token", prefixes: &["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"], least: 10 },
    TokenForm { what: "a Google API key", prefixes: &["AIza"], least: 35 },
    TokenForm { what: "a Stripe key", prefixes: &["sk_live_", "rk_live_"], least: 16 },
];

/// Endings of the names of secrets, in lower case and without `_`, `-` and `.`.
const NAME_ENDINGS: [&str; 7] =
    ["password", "passwd", "secret", "token", "apikey", "accesskey", "privatekey"];

/// The longest user and password in a URL, in bytes.
const LONGEST_USER: usize = 1024;
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
const WEB_TOKEN: &str = "eyJ";

/// Search for all token prefixes; they are few enough for a search with vector instructions.
static PREFIXES: LazyLock<Option<Searcher>> = LazyLock::new(|| {
    let prefixes = FORMS.iter().flat_map(|form| form.prefixes).copied();
    Searcher::new(prefixes.chain([PRIVATE_KEY, WEB_TOKEN]))
});

/// Warns of each text in a document that looks like a secret; `text` is the unparsed document.
pub fn secret_literals(text: &str, root: &Value, hint: &str, faults: &mut Vec<Fault>) {
    SecretSearch::of(text, hint).look(root, Pointer::root, faults);
}

/// A search for texts that look like secrets, in a document that is read in parts.
#[derive(Debug, Clone, Copy)]
pub struct SecretSearch<'h> {
    may_find: bool,
    hint: &'h str,
}

impl<'h> SecretSearch<'h> {
    /// The search in a document, of which `text` is the unparsed text. Each warning has the hint.
    pub fn of(text: &str, hint: &'h str) -> Self {
        Self { may_find: may_hold_secret(text), hint }
    }

    /// Warns of each secret in the value with the pointer `at`.
    pub fn look(&self, value: &Value, at: impl FnOnce() -> Pointer, faults: &mut Vec<Fault>) {
        if self.may_find {
            look(value, &PathStep { name: None, index: 0, above: Err(&at()) }, self.hint, faults);
        }
    }
}

/// Whether the text may contain a secret. Most texts have none, so a few fast passes avoid a look at every value.
fn may_hold_secret(text: &str) -> bool {
    may_have_form(text) || memchr_iter(b':', text.as_bytes()).any(|at| ends_with_name(&text.as_bytes()[..at]))
}

/// Whether the last letters of the word before a colon may end the name of a secret.
fn ends_with_name(before: &[u8]) -> bool {
    let word = match before {
        [word @ .., b'"' | b'\''] => word,
        word => word.trim_ascii_end(),
    };
    let Some((_, [before_last @ .., last])) = word.split_last_chunk::<4>() else { return false };
    match last.to_ascii_lowercase() {
        b'd' => [*b"wor", *b"ssw"].iter().any(|end| before_last.eq_ignore_ascii_case(end)),
        b't' => before_last.eq_ignore_ascii_case(b"cre"),
        b'n' => before_last.eq_ignore_ascii_case(b"oke"),
        b'y' => before_last[1..].eq_ignore_ascii_case(b"ke"),
        _ => false,
    }
}

/// Whether a text may contain a secret with a known form.
fn may_have_form(text: &str) -> bool {
    let has_prefix = PREFIXES.as_ref().is_none_or(|prefixes| prefixes.find(text).is_some());
    has_prefix || memchr_iter(b'@', text.as_bytes()).any(|at| may_be_password(text, at))
}

/// Whether a password may precede the `@` at this byte. References and URLs without a password are common.
fn may_be_password(text: &str, at: usize) -> bool {
    if text[at..].starts_with("@<") {
        return false;
    }
    let before = &text[text.floor_char_boundary(at.saturating_sub(LONGEST_USER))..at];
    let start = before.rfind(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''));
    before[start.unwrap_or_default()..].contains(':')
}

/// The path to a value, turned into a pointer only for a fault.
struct PathStep<'s> {
    name: Option<&'s str>,
    index: usize,
    /// The step above, or the pointer where the search began.
    above: Result<&'s Self, &'s Pointer>,
}

impl PathStep<'_> {
    fn pointer(&self) -> Pointer {
        match (self.above, self.name) {
            (Err(start), _) => start.clone(),
            (Ok(above), Some(name)) => above.pointer().join(name),
            (Ok(above), None) => above.pointer().join(self.index),
        }
    }
}

fn look(value: &Value, at: &PathStep<'_>, hint: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::String(text) => {
            let Some((what, part)) = secret_in(at.name, text) else { return };
            let message = match at.name {
                Some(name) if what.is_empty() => format!("`{name}` is a secret in plain text"),
                _ => format!("{what} in plain text"),
            };
            let fault = Fault::new(SECRET_LITERAL, Site::Within(at.pointer(), part.to_owned()), message);
            faults.push(fault.warning().hint(hint));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look(item, &PathStep { name: None, index, above: Ok(at) }, hint, faults);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                look(member, &PathStep { name: Some(name), index: 0, above: Ok(at) }, hint, faults);
            }
        }
        _ => {}
    }
}

/// The secret in a text and its kind; the kind is empty if only the name indicates a secret.
fn secret_in<'t>(name: Option<&str>, text: &'t str) -> Option<(&'static str, &'t str)> {
    let by_name = || name.is_some_and(is_name_of_secret) && is_literal(text);
    secret_by_form(text).or_else(|| by_name().then_some(("", text)))
}

fn secret_by_form(text: &str) -> Option<(&'static str, &str)> {
    if !may_have_form(text) {
        return None;
    }
    for TokenForm { what, prefixes, least } in &FORMS {
        for prefix in *prefixes {
            for at in word_starts(text, prefix) {
                let length = token_length(&text[at + prefix.len()..], |c| c == '_' || c == '-');
                if length >= *least {
                    return Some((what, &text[at..at + prefix.len() + length]));
                }
            }
        }
    }
    if let Some(at) = text.find("-----BEGIN ")
        && text[at..].contains(PRIVATE_KEY)
    {
        return Some(("a private key", &text[at..]));
    }
    for at in word_starts(text, WEB_TOKEN) {
        let end = at + token_length(&text[at..], |c| matches!(c, '_' | '-' | '.'));
        let mut parts = text[at..end].splitn(3, '.');
        let is_token = parts.all(|part| part.len() >= 10) && text[at..end].matches('.').count() == 2;
        if is_token {
            return Some(("a JSON web token", &text[at..end]));
        }
    }
    let mut addresses = text.match_indices("://").map(|(at, begin)| &text[at + begin.len()..]);
    addresses.find_map(password_of).map(|password| ("a password in a URL", password))
}

/// The offsets of `prefix` at the start of a word, so that no word is examined twice.
fn word_starts(text: &str, prefix: &str) -> impl Iterator<Item = usize> {
    let is_start =
        |at: &usize| !text[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_-.".contains(c));
    text.match_indices(prefix).map(|(at, _)| at).filter(is_start)
}

/// Number of leading bytes that are letters, digits or other token characters.
fn token_length(text: &str, is_other: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && !is_other(c)).unwrap_or(text.len())
}

/// The password in `user:password@host/path`.
fn password_of(address: &str) -> Option<&str> {
    let end = address.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''));
    let (user, _) = address[..end.unwrap_or(address.len())].rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    is_literal(password).then_some(password)
}

fn is_name_of_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-' | '.')).collect();
    let plain = plain.to_ascii_lowercase();
    NAME_ENDINGS.iter().any(|name| plain.ends_with(name))
}

/// Whether a text is a literal value: not empty, no reference, no variable, no stars.
fn is_literal(text: &str) -> bool {
    let is_variable = text.starts_with('$') || (text.starts_with(['<', '{']) && text.ends_with(['>', '}']));
    !text.trim().is_empty() && !text.contains("@<") && !is_variable && !text.trim_matches('*').is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(document: &Value) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        secret_literals(&document.to_string(), document, "", &mut faults);
        faults
            .into_iter()
            .map(|fault| match fault.site {
                Site::Within(at, part) => {
                    assert!(!fault.message.contains(&part), "{}", fault.message);
                    (at.to_string(), part)
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn f46_secrets_of_known_form_are_found_anywhere() {
        // assembled here, so that no secret scanner reports this file
        let body = "0123456789abcdefghijABCDEFGHIJ012345";
        for begin in ["ghp_", "github_pat_", "glpat-", "xoxb-", "AIza", "sk_live_"] {
            let token = format!("{begin}{body}");
            let text = json!({"command": ["curl", "-H", format!("Authorization: Bearer {token}")]});
            assert_eq!(found(&text), [("/command/2".to_owned(), token)]);
        }
        let jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "dozjgNryP4J3jVmNHl0w5N"].join(".");
        let pem = ["-----BEGIN RSA PRIVATE", " KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"].concat();
        let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        for secret in [jwt, pem, aws] {
            assert_eq!(found(&json!([secret])), [("/0".to_owned(), secret.clone())]);
        }
        let address = json!({"a": "ftp://user:hunter2@example.com/in"});
        assert_eq!(found(&address), [("/a".to_owned(), "hunter2".to_owned())]);
    }

    #[test]
    fn f46_names_of_secrets_are_found_in_every_spelling() {
        for name in [
            "password",
            "PASSWD",
            "dbPassword",
            "secret",
            "client_secret",
            "TOKEN",
            "api_key",
            "apiKey",
            "X-API-KEY",
            "accessKey",
            "aws_access_key",
            "privateKey",
            "private-key",
            "SSH_PRIVATE_KEY",
        ] {
            assert_eq!(found(&json!({ name: "hunter2" })), [(format!("/{name}"), "hunter2".to_owned())]);
        }
    }

    #[test]
    fn texts_without_secrets_have_no_fault() {
        let harmless = json!({
            "tokenId": "t", "secretName": "s", "passwordFile": "/run/p", "keys": ["k"], "token": "",
            "password": "@<login.out::/password>", "secret": "$SECRET", "apiKey": "${KEY}", "TOKEN": 1,
            "accessKey": "***", "privateKey": null, "passwd": "<password>",
            "a": ["AKIA", "ghp_short", "BAKIAIOSFODNN7EXAMPLE", "eyJ.eyJ.x", "xoxb-", "https://example.com:80/a@b",
                  "https://user@example.com", "https://user:@<login.out>@example.com", "-----BEGIN CERTIFICATE-----"]});
        assert_eq!(found(&harmless), []);
        assert!(!may_hold_secret("{\"a\": \"https://example.com/x\", \"command\": [\"ffmpeg\", \"-i\"]}"));
    }
}
