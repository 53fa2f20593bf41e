//! References between operations: `@<name.out::/pointer?fallback>` in strings.

use pop_document::Pointer;

/// Replacement for a missing value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// `?` alone: null.
    Null,
    /// `?text`: the string after the `?`.
    Text(String),
}

/// One reference in a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The whole token, from `@<` to `>`.
    pub text: String,
    /// Name, for example `probe.out` or `pop.agendaId`.
    pub name: String,
    /// Pointer into the named value; the root selects all of it.
    pub pointer: Pointer,
    /// Replacement if there is no value at the pointer.
    pub fallback: Option<Fallback>,
}

impl Token {
    /// The operation whose result the reference names: the name without `.out` at its end.
    pub fn operation(&self) -> Option<&str> {
        self.name.strip_suffix(".out")
    }
}

/// A part of a string: literal text or a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Literal text.
    Text(String),
    /// A reference.
    Token(Token),
}

/// Splits a string at its references; `None` if it has none.
///
/// A token is `@<`, a name, optionally `::` and a path, then `>`. The name ends at the first `::` or `>`. `@<>` is not a
/// token. There is no escape character, because any may precede a token in older agendas; the reference `@<pop.at>`
/// gives an `@` instead.
pub fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("@<") {
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('>') else { break };
        plain.push_str(&rest[..start]);
        match token(&inner[..end]) {
            Some(token) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Token(token));
            }
            None => plain.push_str(&rest[start..start + 3 + end]),
        }
        rest = &inner[end + 1..];
    }
    if pieces.is_empty() {
        return None;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Some(pieces)
}

fn token(inner: &str) -> Option<Token> {
    let (name, path) = match inner.find("::") {
        Some(at) if at > 0 => (&inner[..at], &inner[at + 2..]),
        _ => (inner, ""),
    };
    if name.is_empty() {
        return None;
    }
    let (path, fallback) = match path.split_once('?') {
        Some((path, "")) => (path, Some(Fallback::Null)),
        Some((path, text)) => (path, Some(Fallback::Text(text.to_owned()))),
        None => (path, None),
    };
    let path = path.trim();
    let pointer = match path {
        "" | "/" => Pointer::root(),
        path if path.starts_with('/') => Pointer::from(path),
        path => Pointer::from(format!("/{path}")),
    };
    Some(Token { text: format!("@<{inner}>"), name: name.to_owned(), pointer, fallback })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(String, String, Option<Fallback>)> {
        pieces(text)
            .into_iter()
            .flatten()
            .filter_map(|piece| match piece {
                Piece::Token(token) => Some((token.name, token.pointer.to_string(), token.fallback)),
                Piece::Text(_) => None,
            })
            .collect()
    }

    #[test]
    fn every_form_of_a_token_is_parsed() {
        let text = |t: &str| Some(Fallback::Text(t.to_owned()));
        for (written, name, pointer, fallback) in [
            ("@<a.out>", "a.out", "", None),
            ("@<a.out::/x/0>", "a.out", "/x/0", None),
            ("@<a.out::x/0>", "a.out", "/x/0", None),
            ("@<a.out::>", "a.out", "", None),
            ("@<a.out::/>", "a.out", "", None),
            ("@<a.out:: >", "a.out", "", None),
            ("@<a.out::/x?>", "a.out", "/x", Some(Fallback::Null)),
            ("@<a.out::/x?0>", "a.out", "/x", text("0")),
            ("@<a.out::/x?what?>", "a.out", "/x", text("what?")),
            ("@<a b.out::?none>", "a b.out", "", text("none")),
            ("@<pop.agendaId>", "pop.agendaId", "", None),
        ] {
            assert_eq!(tokens(written), [(name.to_owned(), pointer.to_owned(), fallback)], "{written}");
        }
    }

    #[test]
    fn adjacent_tokens_are_two_tokens() {
        let names: Vec<_> = tokens("@<a.out>@<b.out><tag>").into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["a.out", "b.out"]);
    }

    #[test]
    fn text_without_tokens_stays_text() {
        for text in ["@<>", "@<a.out", "@ <a>", "a@b.c", "$$$a::/x", "<a.out>"] {
            assert_eq!(pieces(text), None, "{text}");
        }
        let mixed = pieces("x@<>y@<a.out>z").unwrap();
        assert_eq!(mixed[0], Piece::Text("x@<>y".to_owned()));
        assert_eq!(mixed[2], Piece::Text("z".to_owned()));
    }

    #[test]
    fn only_the_last_out_is_removed() {
        let operation = |text| match pieces(text).unwrap().remove(0) {
            Piece::Token(token) => token.operation().map(str::to_owned),
            Piece::Text(_) => None,
        };
        assert_eq!(operation("@<item.out.out>").as_deref(), Some("item.out"));
        assert_eq!(operation("@<item>"), None);
    }
}
