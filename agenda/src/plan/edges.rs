//! Dependencies of an operation: those whose results the payload refers to, and those that `dependsOn` names.

use super::names::Known;
use super::payload::{Payload, Referent};
use super::scope::Scope;
use super::{Edge, EdgeKind, Graph, OpRef, PlannedOperation};
use crate::document::{DependsOn, InputSpecs, InputType, Operation};
use crate::name::OperationName;
use crate::ops::OpIx;
use crate::outcome::Outcomes;
use crate::reference::Token;
use pop_document::{Fault, Pointer, Site, nearest};
use serde_json::Value;
use std::sync::Arc;

/// Maximum number of operations of a cycle in a message.
const MOST_SHOWN: usize = 20;
const AGENDA_ID: &str = "pop.agendaId";
const OPERATION_NAME: &str = "pop.operationName";
const ITEM: &str = "pop.item";
const INDEX: &str = "pop.index";
const ITEMS: &str = "pop.items";
const AT_SIGN: &str = "pop.at";
const INPUTS: &str = "pop.inputs";
const RUN: &str = "pop.run";
/// Word after the name of a generator in `dependsOn`: everything that it generates.
const GENERATED: &str = "generated";

/// One reason for a dependency, and its place.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    pub(super) edge: Edge<OpRef>,
    site: Site,
    /// Whether the reference has a fallback. Then an outcome in `dependsOn` takes precedence.
    has_fallback: bool,
}

impl Reason {
    /// Whether this reason is for a dependency on an operation.
    pub(super) fn is_about(&self, on: OpRef) -> bool {
        self.edge.on == on
    }

    /// The same reason as seen from outside the body; none if the dependency is inside.
    pub(super) fn outwards(&self) -> Option<Self> {
        let on = self.edge.on.outwards()?;
        Some(Self { edge: Edge { on, ..self.edge }, ..self.clone() })
    }

    /// Place in the document.
    pub(super) fn site(&self) -> Site {
        self.site.clone()
    }
}

/// The dependencies of one operation while they are collected.
pub(super) struct Reasons<'a> {
    pub(super) name: &'a str,
    pub(super) known: Known<'a>,
    pub(super) inputs: &'a InputSpecs,
    /// Whether references may name an item.
    pub(super) has_items: bool,
    /// Whether the operation accepts any outcome of its dependencies.
    pub(super) is_finally: bool,
    /// Whether references may name the run.
    pub(super) has_run: bool,
    /// Operations whose outcome a group of `dependsOn` decides about, although the dependency accepts any.
    pub(super) decided_elsewhere: Vec<OpRef>,
    /// Generators whose operations it also waits for.
    pub(super) awaits: Vec<OpRef>,
    pub(super) found: Vec<Reason>,
}

impl<'a> Reasons<'a> {
    /// No dependencies yet, of an operation that may refer to everything in `scope`.
    pub(super) fn new(name: &'a str, scope: &Scope<'a>) -> Self {
        Self {
            name,
            known: scope.known,
            inputs: scope.inputs,
            has_items: scope.has_items,
            is_finally: false,
            has_run: true,
            decided_elsewhere: Vec::new(),
            awaits: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Adds a name of `dependsOn`, which may have an outcome at its end (`a.failed`).
    pub(super) fn depend(&mut self, depends_on: &DependsOn, faults: &mut Vec<Fault>) {
        if let Some((stem, GENERATED)) = depends_on.name.rsplit_once('.')
            && self.known.find(&depends_on.name).is_none()
            && let Some(on) = self.known.find(stem)
        {
            if self.known.is_generator(on) {
                self.awaits.push(on);
            } else {
                let message = format!("`{}` in `dependsOn`: `{stem}` is not a generator", depends_on.name);
                let hint = "only an operation with `agenda.operation.generator` generates operations";
                faults.push(Fault::new("unknown-outcome", depends_on.site(), message).hint(hint));
            }
            return self.follow(on, self.good(), depends_on.site());
        }
        if let Some((on, needs)) = self.find(depends_on, faults) {
            self.follow(on, needs, depends_on.site());
        }
    }

    /// Adds a name of a group of `dependsOn`: waits for any outcome, because the group decides. Returns the outcomes that
    /// the name accepts.
    pub(super) fn depend_in_group(
        &mut self,
        depends_on: &DependsOn,
        faults: &mut Vec<Fault>,
    ) -> Option<(OpRef, Outcomes)> {
        let (on, needs) = self.find(depends_on, faults)?;
        self.follow(on, Outcomes::ANY, depends_on.site());
        if !needs.accepts_bad() {
            self.decided_elsewhere.push(on);
        }
        Some((on, needs))
    }

    /// Adds an operation that `when` names: with its result it must be good, with its outcome it only must be settled.
    pub(super) fn watch(
        &mut self,
        name: &str,
        is_result: bool,
        at: &Pointer,
        faults: &mut Vec<Fault>,
    ) -> Option<OpRef> {
        let site = Site::Within(at.clone(), name.to_owned());
        let Some(on) = self.known.find(name) else {
            if !self.known.is_unread(name) {
                let near = self.known.near(name, faults);
                let message = format!(
                    "`when` of operation `{}` names `{name}`, which is not in this agenda",
                    self.name
                );
                faults.push(Fault::new("unknown-reference", site, message).did_you_mean(near));
            }
            return None;
        };
        if is_result {
            let edge = Edge { on, kind: EdgeKind::Reads, needs: self.good() };
            // an operation without a result gives null
            self.found.push(Reason { edge, site, has_fallback: true });
        } else {
            self.follow(on, Outcomes::ANY, site);
        }
        Some(on)
    }

    /// Adds an operation that this clean-up undoes; it waits for any outcome of it.
    pub(super) fn undo(&mut self, name: &DependsOn, faults: &mut Vec<Fault>) -> Option<OpRef> {
        let (on, _) = self.find(name, faults)?;
        self.follow(on, Outcomes::ANY, name.site());
        Some(on)
    }

    /// The operation and the outcomes of a name of `dependsOn`.
    fn find(&self, depends_on: &DependsOn, faults: &mut Vec<Fault>) -> Option<(OpRef, Outcomes)> {
        let (name, site) = (&depends_on.name, depends_on.site());
        if let Some(on) = self.known.find(name) {
            return Some((on, self.good()));
        }
        if self.known.is_unread(name) {
            return None;
        }
        if let Some((stem, word)) = name.rsplit_once('.')
            && let Some(on) = self.known.find(stem)
        {
            if let Some(needs) = Outcomes::of_word(word) {
                return Some((on, needs));
            }
            let words = Outcomes::WORDS.join(", ");
            let message = format!("`{word}` in `{name}` is not an outcome: outcomes are {words}");
            let near = nearest(word, Outcomes::WORDS).map(|near| format!("{stem}.{near}"));
            faults.push(Fault::new("unknown-outcome", site, message).did_you_mean(near.as_deref()));
            return None;
        }
        let near = self.known.near(name, faults);
        let message = format!("operation `{}` depends on `{name}`, which is not in this agenda", self.name);
        faults.push(Fault::new("unknown-dependency", site, message).did_you_mean(near));
        None
    }

    /// The outcomes that the operation accepts of a dependency without a named outcome.
    fn good(&self) -> Outcomes {
        if self.is_finally { Outcomes::ANY } else { Outcomes::GOOD }
    }

    fn follow(&mut self, on: OpRef, needs: Outcomes, site: Site) {
        let edge = Edge { on, kind: EdgeKind::Follows, needs };
        self.found.push(Reason { edge, site, has_fallback: false });
    }

    /// Resolves a reference and adds its dependency.
    pub(super) fn refer(&mut self, token: &Token, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Referent> {
        let name = self.name;
        match token.name.as_str() {
            AGENDA_ID => return Some(Referent::AgendaId),
            OPERATION_NAME => return Some(Referent::OperationName),
            AT_SIGN => return Some(Referent::AtSign),
            RUN if self.has_run => return Some(Referent::Run),
            INPUTS => return self.refer_to_input(token, at, faults),
            ITEM if self.has_items => return Some(Referent::Item),
            INDEX if self.has_items => return Some(Referent::Index),
            ITEMS if self.has_items => return Some(Referent::Items),
            _ => {}
        }
        if let Some(on) = token.operation().and_then(|operation| self.known.find(operation)) {
            let site = Site::Within(at.clone(), token.text.clone());
            let edge = Edge { on, kind: EdgeKind::Reads, needs: self.good() };
            self.found.push(Reason { edge, site, has_fallback: token.fallback.is_some() });
            return Some(Referent::Result(on));
        }
        if token.operation().is_some_and(|operation| self.known.is_unread(operation)) {
            return None;
        }
        let site = Site::Within(at.clone(), token.name.clone());
        let target = token.operation().unwrap_or(&token.name);
        faults.push(if token.operation().is_none() && self.known.find(&token.name).is_some() {
            let message = format!("operation `{name}` refers to `{target}`; its result is `{target}.out`");
            Fault::new("unknown-reference", site, message).did_you_mean(Some(&format!("{target}.out")))
        } else if [ITEM, INDEX, ITEMS].contains(&token.name.as_str()) {
            let message = format!("operation `{name}` refers to `{}` but has no `forEach`", token.name);
            Fault::new("unknown-reference", site, message).hint("only an operation with `forEach` has items")
        } else if token.name.starts_with("pop.") {
            let message =
                format!("operation `{name}` refers to `{}`, which pop does not provide", token.name);
            let names = [AGENDA_ID, OPERATION_NAME, ITEM, INDEX, ITEMS, AT_SIGN, INPUTS, RUN];
            let near = nearest(&token.name, names);
            Fault::new("unknown-reference", site, message).did_you_mean(near).hint(escape_hint(token))
        } else {
            let message = format!("operation `{name}` refers to `{target}`, which is not in this agenda");
            let site = Site::Within(at.clone(), target.to_owned());
            let near = self.known.near(target, faults);
            let fault = Fault::new("unknown-reference", site, message);
            match near {
                Some(near) => fault.did_you_mean(Some(near)),
                None => fault.hint(escape_hint(token)),
            }
        });
        None
    }

    /// Reports an input that the agenda does not have.
    pub(super) fn check_input(&self, name: &str, prefix: &str, site: Site, faults: &mut Vec<Fault>) {
        if self.inputs.find(name).is_some() || self.inputs.is_unread(name) {
            return;
        }
        let why = if self.inputs.is_empty() {
            "but the agenda has no `inputs`"
        } else {
            "which is not in `inputs`"
        };
        let near = self.inputs.near(name).map(|near| format!("{prefix}{near}"));
        let message = format!("operation `{}` refers to input `{name}`, {why}", self.name);
        faults.push(Fault::new("unknown-reference", site, message).did_you_mean(near.as_deref()));
    }

    /// Resolves a reference to an input. Its name is the first step of the path.
    fn refer_to_input(&self, token: &Token, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Referent> {
        let operation = self.name;
        let site = Site::Within(at.clone(), token.text.clone());
        let steps: Vec<&str> = token.pointer.as_str().split('/').skip(1).collect();
        let Some((name, parts)) = steps.split_first() else { return Some(Referent::Inputs) };
        self.check_input(name, "pop.inputs::/", site.clone(), faults);
        let spec = self.inputs.find(name)?;
        let has_parts = matches!(spec.kind, InputType::Array | InputType::Object);
        if !parts.is_empty() && !has_parts && token.fallback.is_none() {
            let word = spec.kind.word();
            let message =
                format!("operation `{operation}` refers to a part of input `{name}`, whose type is {word}");
            faults.push(Fault::new("no-such-part", site, message));
        }
        Some(Referent::Inputs)
    }

    /// The dependencies for these reasons, sorted and without duplicates. A dependency that is both read and followed
    /// counts as read.
    pub(super) fn edges(&mut self, operation: &Operation, faults: &mut Vec<Fault>) -> Vec<Edge<OpRef>> {
        self.found.sort_by_key(|reason| reason.edge);
        let mut edges: Vec<Edge<OpRef>> = Vec::new();
        for reasons in self.found.chunk_by(|one, next| one.edge.on == next.edge.on) {
            let mut edge = reasons[0].edge;
            let names_outcome = |reason: &&Reason| {
                reason.edge.kind == EdgeKind::Follows && reason.edge.needs != Outcomes::GOOD
            };
            let explicit = reasons.iter().find(names_outcome);
            let firm = reasons.iter().filter(|reason| explicit.is_none() || !reason.has_fallback);
            edge.needs = firm.fold(Outcomes::ANY, |needs, reason| needs & reason.edge.needs);
            if edge.needs.is_empty() {
                let site = explicit.map_or(Site::Whole, |reason| reason.site.clone());
                let message =
                    format!("operation `{}` waits for outcomes that exclude each other", operation.name);
                let fault = Fault::new("contradiction", site, message);
                let others = reasons
                    .iter()
                    .filter(|reason| !explicit.is_some_and(|explicit| std::ptr::eq(explicit, *reason)));
                faults.push(others.fold(fault, |fault, other| {
                    fault.related(other.site.clone(), "waits for another outcome")
                }));
            }
            edges.push(edge);
        }
        edges
    }
}

/// Resolves the references of a value, which has the pointer `place`, and adds the dependencies that follow from them.
pub(super) fn compile(
    value: impl Into<Arc<Value>>,
    place: &dyn Fn() -> Pointer,
    reasons: &mut Reasons<'_>,
    faults: &mut Vec<Fault>,
) -> Payload {
    Payload::compile(value.into(), |token, at| {
        let at = Pointer::from(format!("{}{at}", place()));
        reasons.refer(token, &at, faults)
    })
}

pub(super) fn check_cycles<'p>(
    graph: &Graph,
    planned: &impl Fn(OpIx) -> &'p PlannedOperation,
    site: &impl Fn(OpIx, OpIx) -> Option<Site>,
    faults: &mut Vec<Fault>,
) {
    let (_, left) = graph.order();
    for cycle in graph.cycles(&left) {
        let mut names: Vec<_> =
            cycle.iter().chain(cycle.first()).map(|op| planned(*op).name.as_str()).collect();
        if cycle.len() > MOST_SHOWN {
            names.splice(MOST_SHOWN..cycle.len(), ["..."]);
        }
        let mut places =
            cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first())).filter_map(|(from, to)| {
                let words = format!("`{}` depends on `{}`", planned(*from).name, planned(*to).name);
                Some((site(*from, *to)?, words))
            });
        let Some((site, words)) = places.next() else { continue };
        let message = match cycle.len() {
            1 => format!("operation `{}` depends on itself", names[0]),
            _ => format!("operations depend on each other in a cycle: {}", names.join(" -> ")),
        };
        let mut fault = Fault::new("cycle", site, message).label(words);
        fault.related.extend(places.take(MOST_SHOWN - 1));
        faults.push(fault);
    }
}

/// Reports references without a fallback to an operation that may have no result, because it may be skipped or because
/// the dependant accepts any outcome.
pub(super) fn check_fallbacks<'p>(
    reader: &OperationName,
    edges: &[Edge<OpRef>],
    reasons: &[Reason],
    planned: &impl Fn(OpRef) -> Option<&'p PlannedOperation>,
    faults: &mut Vec<Fault>,
) {
    for Reason { edge, site, has_fallback } in reasons {
        let Site::Within(_, token) = site else { continue };
        if edge.kind != EdgeKind::Reads || *has_fallback {
            continue;
        }
        let Some(read) = planned(edge.on) else { continue };
        let is_any = edges.iter().any(|of| of.on == edge.on && of.needs.accepts_bad());
        let why = if is_any {
            "which may have failed"
        } else if read.may_skip() {
            "which may be skipped and then has no result"
        } else {
            continue;
        };
        let message = format!("operation `{reader}` reads `{}`, {why}", read.name);
        let hint = format!("add a fallback: `{}?text>`, or `?` alone for null", token_stem(token));
        faults.push(Fault::new("no-fallback", site.clone(), message).hint(hint));
    }
}

fn token_stem(token: &str) -> String {
    let stem = token.trim_end_matches('>');
    if stem.contains("::") { stem.to_owned() } else { format!("{stem}::") }
}

/// Hint: how to write text that looks like a reference.
fn escape_hint(token: &Token) -> String {
    let text = &token.text;
    format!("if `{text}` is text, write its `@` as `@<{AT_SIGN}>`: `@<{AT_SIGN}>{}`", &text[1..])
}
