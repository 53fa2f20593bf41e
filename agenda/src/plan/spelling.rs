//! Check for numbers and booleans that become strings and print differently from how they are written.
//!
//! `3.10` in a `command` would reach the program as `3.1`. A number that stays a number needs no quotation marks.

use super::payload::Referent;
use super::{Payload, PlannedOperation, Serves};
use pop_document::{Fault, Pointer, Spelling};
use std::collections::HashMap;

/// Adds a fault for each number or boolean that would print differently as a string. The keys of `operations` are the
/// pointers of their maps.
pub(super) fn check_spellings(
    spellings: &[Spelling],
    operations: &HashMap<Pointer, &PlannedOperation>,
    faults: &mut Vec<Fault>,
) {
    for spelling in spellings {
        let Some((planned, part)) = split(&spelling.pointer, operations) else { continue };
        if let Some(role) = role(planned, part) {
            faults.push(spelling.fault(&format!("{role} of operation `{}`", planned.name)));
        }
    }
}

/// Splits a pointer into the innermost operation that it is inside of, and the rest.
fn split<'p, 't>(
    pointer: &'t Pointer,
    operations: &HashMap<Pointer, &'p PlannedOperation>,
) -> Option<(&'p PlannedOperation, &'t str)> {
    const LIST: &str = "/operations/";
    let text = pointer.as_str();
    text.rmatch_indices(LIST).find_map(|(at, _)| {
        let part = at + LIST.len() + text[at + LIST.len()..].find('/')?;
        Some((*operations.get(&Pointer::from(&text[..part]))?, &text[part..]))
    })
}

/// Description of the scalar at this part of an operation, if it becomes text.
fn role(planned: &PlannedOperation, part: &str) -> Option<String> {
    if let Some(items) = part.strip_prefix("/params/forEach/") {
        let inner = items.find('/').map_or("", |at| &items[at..]);
        return item_role(planned, inner);
    }
    match part {
        "/id" => return Some("the id".to_owned()),
        "/params/version" => return Some("the version".to_owned()),
        _ => {}
    }
    let at = part.strip_prefix("/payload").filter(|_| planned.serves == Serves::Exec)?;
    exec_role(at)
}

/// Description of the value at this pointer of a payload of type `exec`, if it is text for the program.
fn exec_role(at: &str) -> Option<String> {
    let steps: Vec<&str> = at.split('/').skip(1).collect();
    match steps.as_slice() {
        ["env", variable] => {
            Some(format!("the variable `{}`", variable.replace("~1", "/").replace("~0", "~")))
        }
        ["command", _] | ["command", _, "spread", ..] => Some("an argument".to_owned()),
        ["stdin"] => Some("standard input".to_owned()),
        ["command" | "env", _, "file"] => Some("the content of a file".to_owned()),
        _ => None,
    }
}

/// Description of the text that the part `inner` of an item becomes, if any.
fn item_role(planned: &PlannedOperation, inner: &str) -> Option<String> {
    let reads = |payload: &Payload, is_text: &dyn Fn(&str) -> bool| {
        payload.filled().find_map(|filled| {
            let reads = filled
                .references
                .iter()
                .any(|(token, referent)| *referent == Referent::Item && token.pointer.as_str() == inner);
            let at = filled.pointer.as_str();
            (reads && (filled.alone.is_none() || is_text(at))).then(|| at.to_owned())
        })
    };
    let is_exec = planned.serves == Serves::Exec;
    if let Some(at) = reads(&planned.payload, &|at| is_exec && exec_role(at).is_some()) {
        let exec = exec_role(&at).filter(|_| is_exec);
        return Some(exec.unwrap_or_else(|| format!("text at `{at}` in the payload")));
    }
    let keys = planned.rare.as_ref()?.lock_keys.as_ref()?;
    reads(keys, &|_| true).map(|_| "a lock key".to_owned())
}
