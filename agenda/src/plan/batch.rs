//! Operations that are planned together: those of an agenda, of a generator, or inside an operation of type `agenda`.

use super::edges::{Reason, check_cycles, check_fallbacks};
use super::fit::{Named, check_fit};
use super::{Edge, EdgeKind, Graph, OpRef, PlannedOperation};
use crate::document::InputSpecs;
use crate::ops::{OpIx, OpMap};
use pop_contract::LaunchType;
use pop_document::{ElementPointer, Fault, Pointer, Site};
use serde_json::Value;
use std::collections::HashMap;
use thin_vec::ThinVec;

/// Operations that are planned together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) planned: Vec<PlannedOperation>,
    /// Pointer of each operation.
    pub(super) places: Vec<ElementPointer>,
    pub(super) reasons: Vec<ThinVec<Reason>>,
    pub(super) edges: Vec<ThinVec<Edge<OpRef>>>,
    /// The operations inside those of type `agenda`, by the index of the latter.
    pub(super) inside: Vec<(usize, Self)>,
    /// Dependencies of the result of the body that these operations form.
    pub(super) of_result: Vec<Reason>,
    /// Name of their document, if it is another one than that of the operations around them.
    pub(super) document: Option<Box<str>>,
}

/// Where the check finds the operations that others name.
#[derive(Clone, Copy)]
struct Around<'b> {
    batch: &'b Batch,
    /// Operations that the plan had before.
    below: Option<&'b OpMap<PlannedOperation>>,
    outer: Option<&'b Self>,
}

impl<'b> Around<'b> {
    fn find(&self, named: OpRef) -> Option<Named<'b>> {
        let own = |index: usize| Some((self.batch.planned.get(index)?, self.batch.places.get(index)));
        match (named, self.outer) {
            (OpRef::Inner { up: 0, index }, _) => own(index as usize),
            (named, Some(outer)) => outer.find(named.outwards()?),
            (OpRef::Fixed(op), None) => match self.below.and_then(|below| below.get(op)) {
                Some(planned) => Some((planned, None)),
                None => own(op.index() - self.below.map_or(0, OpMap::len)),
            },
            (OpRef::Inner { .. }, None) => None,
        }
    }
}

impl Batch {
    /// No operations yet, with room for so many.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            planned: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
            reasons: Vec::with_capacity(count),
            edges: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// The dependencies of these operations on others outside the body that they form.
    pub(super) fn outward(&self) -> impl Iterator<Item = Reason> {
        let own = self.reasons.iter().flatten().chain(&self.of_result).filter_map(Reason::outwards);
        let inner: Vec<Reason> = self.inside.iter().flat_map(|(_, inside)| inside.outward()).collect();
        own.chain(inner.into_iter().filter_map(|reason| reason.outwards()))
    }

    /// The dependencies of operations that are in no body.
    pub(super) fn numbered(&self) -> Vec<Vec<Edge>> {
        let number = |edge: &Edge<OpRef>| edge.on.fixed().map(|on| edge.to(on));
        self.edges.iter().map(|edges| edges.iter().filter_map(number).collect()).collect()
    }

    /// Marks the operations whose results others read. The first operation has the number `first`.
    pub(super) fn mark_reads(&mut self, first: usize) {
        let is_reads = |kind: EdgeKind| kind == EdgeKind::Reads;
        let own = self.edges.iter().flatten().filter(|edge| is_reads(edge.kind)).map(|edge| edge.on);
        let inner = self.inside.iter().flat_map(|(_, inside)| inside.outward());
        let of_result = self.of_result.iter().cloned();
        let others =
            inner.chain(of_result).filter(|reason| is_reads(reason.edge.kind)).map(|reason| reason.edge.on);
        let read: Vec<usize> = own.chain(others).filter_map(|on| local(on, first)).collect();
        for index in read {
            if let Some(planned) = self.planned.get_mut(index) {
                planned.is_read = true;
            }
        }
    }

    /// Adds a fault for each cycle. An operation of type `agenda` depends on everything that operations inside it need.
    /// `graph` is that of these operations alone, if it exists already.
    pub(super) fn check_cycles(&self, first: usize, graph: Option<&Graph>, faults: &mut Vec<Fault>) {
        let mut outward: HashMap<usize, Vec<Reason>> = HashMap::new();
        for (index, inside) in &self.inside {
            outward.insert(*index, inside.outward().collect());
        }
        let own = |(index, edges): (usize, &ThinVec<Edge<OpRef>>)| {
            let outward = outward.get(&index).into_iter().flatten().map(|reason| reason.edge);
            let all = edges.iter().copied().chain(outward);
            let mut own: Vec<Edge> =
                all.filter_map(|edge| Some(edge.to(OpIx(local(edge.on, first)? as u32)))).collect();
            own.retain(|edge| edge.on.index() < self.planned.len());
            own.sort_unstable();
            own.dedup_by_key(|edge| edge.on);
            own
        };
        let built;
        let graph = match graph.filter(|_| self.inside.is_empty()) {
            Some(graph) => graph,
            None => {
                let lists: Vec<Vec<Edge>> = self.edges.iter().enumerate().map(own).collect();
                built = Graph::new(&lists.into());
                &built
            }
        };
        let site = |from: OpIx, to: OpIx| {
            let outward = outward.get(&from.index()).into_iter().flatten();
            let mut reasons = self.reasons[from.index()].iter().chain(outward);
            reasons.find(|reason| local(reason.edge.on, first) == Some(to.index())).map(Reason::site)
        };
        check_cycles(graph, &|op| &self.planned[op.index()], &site, faults);
    }

    /// Checks the references to inputs whose values are known.
    pub(super) fn check_inputs(&self, values: &Value, faults: &mut Vec<Fault>) {
        if values.is_null() {
            return;
        }
        for (planned, place) in self.planned.iter().zip(&self.places) {
            for (pointer, error) in planned.payload.unusable_inputs(values) {
                let at = Pointer::from(format!("{}{pointer}", place.join("payload")));
                let message = format!("`{}` of operation `{}` {}", error.token, planned.name, error.problem);
                faults.push(Fault::new("wrong-payload", Site::Within(at, error.token), message));
            }
        }
        for (_, inside) in self.inside_here() {
            inside.check_inputs(values, faults);
        }
    }

    /// The operations inside that stand in the same document.
    pub(super) fn inside_here(&self) -> impl Iterator<Item = &(usize, Self)> {
        self.inside.iter().filter(|(_, inside)| inside.document.is_none())
    }

    /// All operations of the document by their pointers.
    pub(super) fn by_place(&self) -> HashMap<Pointer, &PlannedOperation> {
        let own = self.places.iter().map(ElementPointer::pointer).zip(&self.planned);
        own.chain(self.inside_here().flat_map(|(_, inside)| inside.by_place())).collect()
    }

    /// Checks references between these operations, to those around them, and to operations that the plan had before.
    pub(super) fn check(
        &self,
        below: Option<&OpMap<PlannedOperation>>,
        on: LaunchType,
        inputs: &InputSpecs,
        faults: &mut Vec<Fault>,
    ) {
        self.check_in(Around { batch: self, below, outer: None }, on, inputs, faults);
    }

    fn check_in(&self, here: Around<'_>, on: LaunchType, inputs: &InputSpecs, faults: &mut Vec<Fault>) {
        let planned = |named: OpRef| here.find(named).map(|(planned, _)| planned);
        for ((reader, edges), reasons) in self.planned.iter().zip(&self.edges).zip(&self.reasons) {
            check_fallbacks(&reader.name, edges, reasons, &planned, faults);
        }
        check_fit(&self.planned, &self.places, on, &|named| here.find(named), inputs, faults);
        for (index, inside) in &self.inside {
            let Some(body) = self.planned[*index].body() else { continue };
            let here = Around { batch: inside, below: None, outer: Some(&here) };
            let planned = |named: OpRef| here.find(named).map(|(planned, _)| planned);
            check_fallbacks(&self.planned[*index].name, &[], &inside.of_result, &planned, faults);
            let Some(document) = &inside.document else {
                inside.check_in(here, on, inputs, faults);
                continue;
            };
            let inputs = body.file.as_ref().map_or(inputs, |file| &file.inputs);
            let mut own = Vec::new();
            inside.check_in(here, on, inputs, &mut own);
            faults.extend(own.into_iter().map(|fault| fault.in_document(document)));
        }
    }
}

/// The index of an operation among those that are planned together, of which the first has the number `first`.
fn local(on: OpRef, first: usize) -> Option<usize> {
    match on {
        OpRef::Fixed(op) => op.index().checked_sub(first),
        OpRef::Inner { up: 0, index } => Some(index as usize),
        OpRef::Inner { .. } => None,
    }
}
