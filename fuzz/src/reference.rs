//! References in texts: parsed, printed, parsed again, and resolved with any result.

use pop_agenda::{
    Action, Agenda, Fallback, Input, OpIx, Piece, Plan, RunOptions, RunTime, Scheduler, Token, Verdict,
    pieces,
};
use pop_contract::LaunchType;
use pop_registry::Catalog;
use serde_json::{Value, json};

/// The input is a text, a zero byte, and the result to which its references to `a.out` resolve.
///
/// The pieces joined are the text. A token printed from its parts is the same token. Resolving gives the value at the
/// pointer, the fallback, or an error.
pub fn reference(bytes: &[u8]) {
    let mut halves = bytes.splitn(2, |byte| *byte == 0);
    let mut half = || String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
    let (text, result) = (half(), half());
    let result = serde_json::from_str(&result).unwrap_or(Value::String(result));
    let found = pieces(&text).unwrap_or_default();
    if !found.is_empty() {
        let joined: String = found.iter().map(source_text).collect();
        assert_eq!(joined, text);
        assert!(found.iter().any(|piece| matches!(piece, Piece::Token(_))));
    }
    for piece in &found {
        let Piece::Token(token) = piece else { continue };
        let again = pieces(&printed(token));
        let Some([Piece::Token(again)]) = again.as_deref() else { unreachable!("{token:?} is {again:?}") };
        assert_eq!(
            (&again.name, &again.pointer, &again.fallback),
            (&token.name, &token.pointer, &token.fallback),
            "{}",
            token.text
        );
    }
    if let Some(filled) = fill(&text, &result) {
        match found.as_slice() {
            [] => assert_eq!(filled, Ok(Value::String(text))),
            [Piece::Token(token)] if token.operation() == Some("a") => {
                assert_eq!(filled.ok(), expected(token, &result), "{text} of {result}");
            }
            _ => {}
        }
    }
}

fn source_text(piece: &Piece) -> &str {
    match piece {
        Piece::Text(text) => text,
        Piece::Token(token) => &token.text,
    }
}

fn printed(token: &Token) -> String {
    let path = match &token.fallback {
        None if token.pointer.is_empty() => String::new(),
        None => format!("::{}", token.pointer),
        Some(Fallback::Null) => format!("::{}?", token.pointer),
        Some(Fallback::Text(text)) => format!("::{}?{text}", token.pointer),
    };
    format!("@<{}{path}>", token.name)
}

fn expected(token: &Token, result: &Value) -> Option<Value> {
    let found = result.pointer(token.pointer.as_str()).filter(|_| !result.is_null());
    let fallback = token.fallback.as_ref().map(|fallback| match fallback {
        Fallback::Null => Value::Null,
        Fallback::Text(text) => Value::String(text.clone()),
    });
    let whole = || token.pointer.is_empty().then(|| result.clone());
    found.cloned().or(fallback).or_else(whole)
}

/// The text as a payload, resolved with the result of `a`; none if it refers to something unknown.
fn fill(text: &str, result: &Value) -> Option<Result<Value, String>> {
    let agenda = json!({"operations": [
        {"name": "a", "type": "sample"},
        {"name": "b", "type": "sample", "params": {"dependsOn": "a"}, "payload": text},
    ]});
    let mut faults = Vec::new();
    let agenda = Agenda::parse(agenda, &mut faults)?;
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults)?;
    let mut scheduler = Scheduler::new(plan, RunOptions::default());
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: pop_agenda::PriorOutcomes::default() };
    let launched = |actions: &[Action]| match actions {
        [Action::Launch { op, attempt, .. }] => (*op, *attempt),
        other => unreachable!("{other:?}"),
    };
    let (op, attempt) = launched(&scheduler.step(RunTime(0), begun).actions);
    let ended = Input::Ended { op, attempt, verdict: Verdict::succeeded(result.clone()) };
    scheduler.step(RunTime(1), ended);
    let filled = scheduler.payload(OpIx(1)).map(std::borrow::Cow::into_owned);
    // an operation starts if and only if its payload resolves
    assert_eq!(scheduler.state(OpIx(1)).is_out(), filled.is_ok());
    Some(filled.map_err(|error| error.to_string()))
}
