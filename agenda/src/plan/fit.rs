//! Checks payloads and references against the descriptions of handlers. A value that cannot fit is an error; one that
//! may not fit is a warning.

use super::payload::{Filled, Referent};
use super::{OpRef, PlannedOperation, Serves, exec};
use crate::document::InputSpecs;
use crate::reference::{Fallback, Token};
use crate::schema::{Finding, KnownValue, PointerTarget, Presence, Schema, Subject, check_payload};
use pop_contract::{Description, LaunchType};
use pop_document::{ElementPointer, Fault, Pointer, Site};
use serde_json::Value;
use std::collections::HashMap;

/// Checks every operation whose own handler has a description, or that reads the result of a handler with one. `all`
/// finds the operations that they name, with their pointers if they are in the same document.
pub(super) fn check_fit<'p>(
    planned: &'p [PlannedOperation],
    places: &'p [ElementPointer],
    on: LaunchType,
    all: &impl Fn(OpRef) -> Option<Named<'p>>,
    inputs: &'p InputSpecs,
    faults: &mut Vec<Fault>,
) {
    for (operation, place) in planned.iter().zip(places) {
        Check { all, inputs, on, operation, place }.run(faults);
    }
}

/// An operation and the pointer to it, if that is known.
pub(super) type Named<'p> = (&'p PlannedOperation, Option<&'p ElementPointer>);

fn description(operation: &PlannedOperation) -> Option<&Description> {
    match &operation.serves {
        Serves::Program(entry) => entry.description.as_deref(),
        Serves::Exec | Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => None,
    }
}

struct Check<'p, 'a, F> {
    all: &'a F,
    inputs: &'p InputSpecs,
    /// Launcher of the programs.
    on: LaunchType,
    operation: &'p PlannedOperation,
    place: &'p ElementPointer,
}

impl<'p, F: Fn(OpRef) -> Option<Named<'p>>> Check<'p, '_, F> {
    fn run(&self, faults: &mut Vec<Fault>) {
        let mut given: HashMap<&str, KnownValue<'p>> = HashMap::new();
        let filled: Vec<Filled<'p>> = self.operation.payload.filled().collect();
        for part in &filled {
            for (token, referent) in &part.references {
                faults.extend(self.presence(part.pointer, token, *referent));
            }
            let is = part.alone.map_or(KnownValue::Text, |(token, referent)| self.given(token, referent));
            faults.extend(self.misfits(part, &is));
            given.insert(part.pointer.as_str(), is);
        }
        let defaults = description(self.operation).and_then(|described| described.defaults.as_ref());
        let Some(wanted) = description(self.operation).and_then(|described| described.input.as_ref()) else {
            return;
        };
        let found = check_payload(self.operation.payload.template(), Schema::new(wanted), &|at| {
            given.get(at.as_str()).cloned()
        });
        for finding in found {
            // the handler itself adds its defaults
            if finding
                .missing
                .as_ref()
                .is_some_and(|name| defaults.is_some_and(|all| all.get(name).is_some()))
            {
                continue;
            }
            let token = filled
                .iter()
                .find(|part| *part.pointer == finding.at)
                .and_then(|part| part.references.first());
            faults.push(self.fault(finding, token.copied()));
        }
    }

    /// The faults of the references in one text, as far as every handler has them: a list or map inside text, and a
    /// value that a program of type `exec` cannot get.
    fn misfits(&self, part: &Filled<'p>, is: &KnownValue<'p>) -> Vec<Fault> {
        let check = |known: &KnownValue<'p>, schema, token: (&'p Token, Referent)| {
            if matches!(known, KnownValue::Unknown) {
                return Vec::new();
            }
            let text = Value::String(token.0.text.clone());
            let found = check_payload(&text, schema, &|_| Some(known.clone()));
            let found = found.into_iter().map(|finding| Finding { at: part.pointer.clone(), ..finding });
            let hint = exec::form_hint(part.pointer).filter(|_| self.operation.serves == Serves::Exec);
            found
                .map(|finding| {
                    let fault = self.fault(finding, Some(token));
                    hint.into_iter().fold(fault, Fault::hint)
                })
                .collect::<Vec<_>>()
        };
        match part.alone {
            Some(token) if self.operation.serves == Serves::Exec => match exec::accepted(part.pointer) {
                Some(schema) => check(is, schema, token),
                None => Vec::new(),
            },
            Some(_) => Vec::new(),
            None => {
                let inside = part.references.iter();
                let each = inside
                    .map(|token| check(&self.given(token.0, token.1), exec::accepted_in_text(), *token));
                each.flatten().collect()
            }
        }
    }

    /// The schema of the value that a reference refers to, if the handler that computes the value has a description.
    fn followed(&self, token: &Token, referent: Referent) -> Option<(Named<'p>, PointerTarget<'p>)> {
        let Referent::Result(named) = referent else { return None };
        // the result of an operation with `forEach` is a list of described results
        let named = (self.all)(named).filter(|(read, _)| read.for_each().is_none())?;
        let read = named.0;
        let described = description(read).and_then(|described| described.result.as_ref());
        let result = described.or_else(|| exec::result(read, self.on))?;
        Some((named, Schema::new(result).follow(&token.pointer)))
    }

    fn given(&self, token: &Token, referent: Referent) -> KnownValue<'p> {
        if referent == Referent::Inputs {
            let schema = self.inputs.at(&token.pointer).filter(|_| token.fallback.is_none());
            return schema.map_or(KnownValue::Unknown, |schema| KnownValue::OneOf(vec![Schema::new(schema)]));
        }
        let (Some(((read, _), followed)), Referent::Result(_)) = (self.followed(token, referent), referent)
        else {
            return match referent {
                Referent::AgendaId | Referent::OperationName | Referent::AtSign => KnownValue::Text,
                _ => KnownValue::Unknown,
            };
        };
        let may_be_missing = followed.presence != Presence::Always || read.may_skip();
        let fallback = token.fallback.as_ref().filter(|_| may_be_missing).map(|fallback| match fallback {
            Fallback::Null => Schema::null(),
            Fallback::Text(_) => Schema::text(),
        });
        if followed.schemas.is_empty() && !matches!(followed.presence, Presence::Never { .. }) {
            return KnownValue::Unknown;
        }
        let schemas: Vec<_> = followed.schemas.into_iter().chain(fallback).collect();
        if schemas.is_empty() { KnownValue::Unknown } else { KnownValue::OneOf(schemas) }
    }

    /// The fault of a reference to a value that never, or not always, exists.
    fn presence(&self, at: &Pointer, token: &Token, referent: Referent) -> Option<Fault> {
        let (named, followed) = self.followed(token, referent)?;
        let read = named.0;
        let site = self.site(at, token);
        let fault = match (followed.presence, &token.fallback) {
            (Presence::Always, _) | (Presence::Sometimes(_), Some(_)) => return None,
            // how many lines a command prints is for its author to know
            (Presence::Sometimes(_), None) if read.serves == Serves::Exec => return None,
            (Presence::Never { step, near }, fallback) => {
                let message = format!("the result of `{}` has no `{step}`", read.name);
                let fault = Fault::new("no-such-part", site, message).did_you_mean(near.as_deref());
                // the fallback always applies
                if fallback.is_some() { fault.warning() } else { fault }
            }
            (Presence::Sometimes(step), None) => {
                let message = format!("the result of `{}` may have no `{step}`", read.name);
                let hint = "add a fallback: `?text` before the `>`, or `?` alone for null";
                Fault::new("may-be-missing", site, message).hint(hint).warning()
            }
        };
        Some(related(fault, named))
    }

    fn fault(&self, finding: Finding, token: Option<(&Token, Referent)>) -> Fault {
        let Finding { at, what, is_proved, why, near, missing: _ } = finding;
        let subject = subject(&at);
        let name = &self.operation.name;
        let Some((token, referent)) = token.filter(|_| what == Subject::Reference) else {
            let message = format!("{subject} of operation `{name}` {why}");
            let at = Pointer::from(format!("{}{}", self.place.join("payload"), at.as_str()));
            let site = if what == Subject::Name { Site::Key(at) } else { Site::Value(at) };
            return Fault::new("wrong-payload", site, message).did_you_mean(near.as_deref());
        };
        let site = self.site(&at, token);
        let message = format!("`{}` does not fit {subject} of operation `{name}`: it {why}", token.text);
        let mut fault = Fault::new("does-not-fit", site, message);
        if !is_proved {
            let message = format!("`{}` may not fit {subject} of operation `{name}`: it {why}", token.text);
            fault = Fault { code: "may-not-fit", message, ..fault }.warning();
        }
        let named = match referent {
            Referent::Result(named) => (self.all)(named),
            _ => None,
        };
        match named {
            Some(named) => related(fault, named),
            None => fault,
        }
    }

    fn site(&self, at: &Pointer, token: &Token) -> Site {
        Site::Within(format!("{}{}", self.place.join("payload"), at.as_str()).into(), token.text.clone())
    }
}

/// Adds the place that describes the result of an operation.
fn related(fault: Fault, (read, place): Named<'_>) -> Fault {
    let Some(place) = place else { return fault };
    let at = place.join("type");
    if read.serves == Serves::Exec {
        let capture = place.join("payload").join("capture");
        return fault.related(Site::Value(capture), "says what its result has");
    }
    let program =
        description(read).and_then(|described| described.name.as_deref()).unwrap_or(&read.handler_type);
    fault.related(Site::Value(at), format!("`{program}` describes its result"))
}

/// A part of a payload for messages: its name, or its number in a list.
fn subject(at: &Pointer) -> String {
    let mut steps = at.as_str().rsplit('/').filter(|step| !step.is_empty());
    match (steps.next(), steps.next()) {
        (None, _) => "the payload".to_owned(),
        (Some(step), list) => match (step.parse::<usize>(), list) {
            (Ok(index), Some(list)) => format!("item {} of `{list}`", index.saturating_add(1)),
            _ => format!("`{step}`"),
        },
    }
}
