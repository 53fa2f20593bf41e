//! Which operations an operation waits for: those that its payload reads and those that `dependsOn` names.

use super::names::Known;
use super::payload::Referent;
use super::{Edge, EdgeKind, Graph, PlannedOperation};
use crate::document::{DependsOn, Operation};
use crate::ops::OpIx;
use crate::outcome::Outcomes;
use crate::reference::Token;
use pop_document::{Fault, Pointer, Site, nearest};

/// The most operations of one cycle that are told.
const MOST_TOLD: usize = 20;
const AGENDA_ID: &str = "pop.agendaId";
const OPERATION_NAME: &str = "pop.operationName";
const ITEM: &str = "pop.item";
const INDEX: &str = "pop.index";
const AT_SIGN: &str = "pop.at";

/// One reason to wait, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    edge: Edge,
    site: Site,
    /// Whether something stands in for what it reads, so that a reason that asks for particular outcomes decides.
    has_fallback: bool,
}

impl Reason {
    /// Whether it is a reason to wait for `op`.
    pub(super) fn is_about(&self, op: OpIx) -> bool {
        self.edge.on == op
    }

    /// Where it stands.
    pub(super) fn site(&self) -> Site {
        self.site.clone()
    }
}

/// The reasons of one operation while they are found.
pub(super) struct Reasons<'a> {
    pub(super) name: &'a str,
    pub(super) known: Known<'a>,
    /// Whether there are items to refer to.
    pub(super) has_items: bool,
    /// Whether it waits until what it waits for is settled, however.
    pub(super) is_finally: bool,
    pub(super) found: Vec<Reason>,
}

impl Reasons<'_> {
    /// Notes an operation that `dependsOn` names, perhaps with the outcome that is asked for.
    pub(super) fn depend(&mut self, depends_on: &DependsOn, faults: &mut Vec<Fault>) {
        let DependsOn { name, pointer } = depends_on;
        let site = Site::Within(pointer.clone(), name.clone());
        if let Some(on) = self.known.number(name) {
            return self.follow(on, self.good(), site);
        }
        if self.known.is_unread(name) {
            return;
        }
        if let Some((stem, word)) = name.rsplit_once('.')
            && let Some(on) = self.known.number(stem)
        {
            if let Some(needs) = Outcomes::of_word(word) {
                return self.follow(on, needs, site);
            }
            let words = Outcomes::WORDS.join(", ");
            let message = format!("`{name}` asks for no outcome of `{stem}`: outcomes are {words}");
            let near = nearest(word, Outcomes::WORDS).map(|near| format!("{stem}.{near}"));
            faults.push(Fault::new("unknown-outcome", site, message).did_you_mean(near.as_deref()));
            return;
        }
        let near = self.known.near(name, faults);
        let message = format!("operation `{}` depends on `{name}`, which is not in this agenda", self.name);
        faults.push(Fault::new("unknown-dependency", site, message).did_you_mean(near));
    }

    /// The outcomes that it waits for where it names none.
    fn good(&self) -> Outcomes {
        if self.is_finally { Outcomes::ANY } else { Outcomes::GOOD }
    }

    fn follow(&mut self, on: OpIx, needs: Outcomes, site: Site) {
        let edge = Edge { on, kind: EdgeKind::Follows, needs };
        self.found.push(Reason { edge, site, has_fallback: false });
    }

    /// Finds what a reference refers to, and notes the dependency it makes.
    pub(super) fn refer(&mut self, token: &Token, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Referent> {
        let name = self.name;
        match token.name.as_str() {
            AGENDA_ID => return Some(Referent::AgendaId),
            OPERATION_NAME => return Some(Referent::OperationName),
            AT_SIGN => return Some(Referent::AtSign),
            ITEM if self.has_items => return Some(Referent::Item),
            INDEX if self.has_items => return Some(Referent::Index),
            _ => {}
        }
        if let Some(on) = token.operation().and_then(|operation| self.known.number(operation)) {
            let site = Site::Within(at.clone(), token.text.clone());
            let edge = Edge { on, kind: EdgeKind::Reads, needs: self.good() };
            self.found.push(Reason { edge, site, has_fallback: token.fallback.is_some() });
            return Some(Referent::Result(on));
        }
        if token.operation().is_some_and(|operation| self.known.is_unread(operation)) {
            return None;
        }
        let site = Site::Within(at.clone(), token.name.clone());
        let asked = token.operation().unwrap_or(&token.name);
        faults.push(if token.operation().is_none() && self.known.number(&token.name).is_some() {
            let message = format!("operation `{name}` refers to `{asked}`; a result is called `{asked}.out`");
            Fault::new("unknown-reference", site, message).did_you_mean(Some(&format!("{asked}.out")))
        } else if token.name == ITEM || token.name == INDEX {
            let message = format!("operation `{name}` refers to `{}`, and has no `forEach`", token.name);
            Fault::new("unknown-reference", site, message)
                .hint("items are those of the operation's own `forEach`")
        } else if token.name.starts_with("pop.") {
            let message =
                format!("operation `{name}` refers to `{}`, which pop does not provide", token.name);
            let near = nearest(&token.name, [AGENDA_ID, OPERATION_NAME, ITEM, INDEX, AT_SIGN]);
            Fault::new("unknown-reference", site, message).did_you_mean(near).hint(escape_hint(token))
        } else {
            let message = format!("operation `{name}` refers to `{asked}`, which is not in this agenda");
            let site = Site::Within(at.clone(), asked.to_owned());
            let near = self.known.near(asked, faults);
            let fault = Fault::new("unknown-reference", site, message);
            match near {
                Some(near) => fault.did_you_mean(Some(near)),
                None => fault.hint(escape_hint(token)),
            }
        });
        None
    }

    /// The dependencies that the reasons come to, sorted, each operation once; reading outranks following.
    pub(super) fn edges(&mut self, operation: &Operation, faults: &mut Vec<Fault>) -> Vec<Edge> {
        self.found.sort_by_key(|reason| reason.edge);
        let mut edges: Vec<Edge> = Vec::new();
        for reasons in self.found.chunk_by(|one, next| one.edge.on == next.edge.on) {
            let mut edge = reasons[0].edge;
            let is_asked = |reason: &&Reason| {
                reason.edge.kind == EdgeKind::Follows && reason.edge.needs != Outcomes::GOOD
            };
            let asked = reasons.iter().find(is_asked);
            let firm = reasons.iter().filter(|reason| asked.is_none() || !reason.has_fallback);
            edge.needs = firm.fold(Outcomes::ANY, |needs, reason| needs & reason.edge.needs);
            if edge.needs.is_empty() {
                let site = asked.map_or(Site::Whole, |reason| reason.site.clone());
                let message =
                    format!("operation `{}` waits for outcomes that exclude one another", operation.name);
                let fault = Fault::new("contradiction", site, message);
                let others =
                    reasons.iter().filter(|reason| !asked.is_some_and(|asked| std::ptr::eq(asked, *reason)));
                faults.push(
                    others.fold(fault, |fault, other| fault.related(other.site.clone(), "asks for another")),
                );
            }
            edges.push(edge);
        }
        edges
    }
}

pub(super) fn check_cycles<'p>(
    graph: &Graph,
    planned: &impl Fn(OpIx) -> &'p PlannedOperation,
    reasons: &[Vec<Reason>],
    faults: &mut Vec<Fault>,
) {
    let (_, left) = graph.order();
    for cycle in graph.cycles(&left) {
        let mut names: Vec<_> =
            cycle.iter().chain(cycle.first()).map(|op| planned(*op).name.as_str()).collect();
        if cycle.len() > MOST_TOLD {
            names.splice(MOST_TOLD..cycle.len(), ["..."]);
        }
        let mut places =
            cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first())).filter_map(|(from, to)| {
                let reason = reasons[from.index()].iter().find(|reason| reason.edge.on == *to)?;
                let words = format!("`{}` waits for `{}`", planned(*from).name, planned(*to).name);
                Some((reason.site.clone(), words))
            });
        let Some((site, words)) = places.next() else { continue };
        let message = match cycle.len() {
            1 => format!("operation `{}` waits for itself", names[0]),
            _ => format!("operations wait for one another: {}", names.join(" -> ")),
        };
        let mut fault = Fault::new("cycle", site, message).label(words);
        fault.related.extend(places.take(MOST_TOLD - 1));
        faults.push(fault);
    }
}

/// An operation that is skipped, or that is waited for whatever becomes of it, may leave no result behind: whoever
/// reads a part of it needs something to stand in.
pub(super) fn check_fallbacks<'p>(
    reader: &PlannedOperation,
    edges: &[Edge],
    reasons: &[Reason],
    planned: &impl Fn(OpIx) -> &'p PlannedOperation,
    faults: &mut Vec<Fault>,
) {
    for Reason { edge, site, has_fallback } in reasons {
        let Site::Within(_, token) = site else { continue };
        if edge.kind != EdgeKind::Reads || *has_fallback {
            continue;
        }
        let read = planned(edge.on);
        let is_any = edges.iter().any(|of| of.on == edge.on && of.needs.asks_for_bad());
        let why = if is_any {
            "which may have failed then"
        } else if read.may_skip() {
            "which may be skipped and then has no result"
        } else {
            continue;
        };
        let message = format!("operation `{}` reads `{}`, {why}", reader.name, read.name);
        let hint = format!("say what stands in for it: `{}?text>`, or `?` alone for null", token_stem(token));
        faults.push(Fault::new("no-fallback", site.clone(), message).hint(hint));
    }
}

fn token_stem(token: &str) -> String {
    let stem = token.trim_end_matches('>');
    if stem.contains("::") { stem.to_owned() } else { format!("{stem}::") }
}

/// How to write what looks like a reference and is not meant as one.
fn escape_hint(token: &Token) -> String {
    let text = &token.text;
    format!("if `{text}` is meant as text, write its `@` as `@<{AT_SIGN}>`: `@<{AT_SIGN}>{}`", &text[1..])
}
