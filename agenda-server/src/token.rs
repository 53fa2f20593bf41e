//! Tokens: random texts, of which the store has digests only.

use crate::scope::Scope;
use pop_contract::Millis;
use pop_service::Object;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Beginning of each token, so that secret scanners find it.
const PREFIX: &str = "pop_";

/// A new token: the secret for its owner, and what is stored.
pub(crate) fn issue(name: &str, scopes: &[Scope], now: Millis) -> (String, Object) {
    // two random ids have 244 random bits
    let secret = format!("{PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let stored = admit(name, &secret, scopes, now);
    (secret, stored)
}

/// What is stored of a token that its owner has made.
pub(crate) fn admit(name: &str, secret: &str, scopes: &[Scope], now: Millis) -> Object {
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let stored = json!({"id": digest(secret), "title": name, "scopes": scopes, "addedTime": now});
    Object::of(stored).unwrap_or_default()
}

/// What the store has of a token. A random secret needs no salt and no slow digest.
pub(crate) fn digest(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// The scopes of a stored token.
pub(crate) fn scopes(token: &Object) -> BTreeSet<Scope> {
    token.list("scopes").iter().filter_map(|scope| scope.as_str()?.parse().ok()).collect()
}

/// A stored token as its manager sees it: without the digest, which would let others find the token in a dump.
pub(crate) fn shown(token: &Object) -> Value {
    json!({"id": token.id().get(..12), "name": token.text("title"), "scopes": token.0.get("scopes"), "addedTime": token.0.get("addedTime")})
}

/// The secret in an `Authorization` header: `Bearer <token>`, or the token alone.
pub(crate) fn of_header(header: &str) -> &str {
    let (scheme, rest) = header.split_once(' ').unwrap_or(("", header));
    if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { header.trim() }
}
