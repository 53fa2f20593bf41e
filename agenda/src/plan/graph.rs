//! The dependency graph as two dense tables that grow at their end, and its cycles.

use crate::ops::{OpIx, OpMap};
use crate::outcome::Outcomes;
use std::collections::HashMap;

/// Kind of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// The payload refers to the result of the dependency.
    Reads,
    /// `dependsOn` names the dependency.
    Follows,
}

/// One dependency of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge<On = OpIx> {
    /// The dependency.
    pub on: On,
    /// Kind of the dependency.
    pub kind: EdgeKind,
    /// Outcomes of the dependency that let the operation start.
    pub needs: Outcomes,
}

/// One dependant of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependant {
    /// The dependant.
    pub op: OpIx,
    /// Outcomes that let the dependant start.
    pub needs: Outcomes,
}

/// Lists of different lengths in one vector, with the start of each.
#[derive(Debug, Clone)]
struct Rows<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Rows<T> {
    fn new() -> Self {
        Self { starts: vec![0], items: Vec::new() }
    }

    fn row(&self, op: OpIx) -> &[T] {
        &self.items[self.starts[op.index()] as usize..self.starts[op.index() + 1] as usize]
    }
}

/// Dependencies between operations, in both directions.
#[derive(Debug, Clone)]
pub struct Graph {
    dependencies: Rows<Edge>,
    dependants: Rows<Dependant>,
    /// Dependants that were added after the operation they depend on.
    later: HashMap<OpIx, Vec<Dependant>>,
    /// Dependencies of operations on operations that were added after them.
    on_later: HashMap<OpIx, Vec<Edge>>,
}

impl Graph {
    /// Builds the graph of these dependencies. Each list is sorted and has no duplicates.
    pub(crate) fn new(lists: &OpMap<Vec<Edge>>) -> Self {
        let mut graph = Self {
            dependencies: Rows::new(),
            dependants: Rows::new(),
            later: HashMap::new(),
            on_later: HashMap::new(),
        };
        graph.grow(lists.values());
        graph
    }

    /// Adds operations at the end, each with its dependencies.
    pub(crate) fn grow<'l>(&mut self, lists: impl Iterator<Item = &'l Vec<Edge>>) {
        let first = self.len() as u32;
        for edges in lists {
            self.dependencies.items.extend_from_slice(edges);
            self.dependencies.starts.push(self.dependencies.items.len() as u32);
        }
        let added = (first..self.len() as u32).map(OpIx);
        let mut counts = vec![0_u32; added.len() + 1];
        for op in added.clone() {
            for edge in self.dependencies.row(op).iter().filter(|edge| edge.on.0 >= first) {
                counts[(edge.on.0 - first) as usize + 1] += 1;
            }
        }
        for index in 1..counts.len() {
            counts[index] += counts[index - 1];
        }
        let base = self.dependants.items.len() as u32;
        self.dependants.starts.extend(counts.iter().skip(1).map(|count| base + count));
        let unfilled = Dependant { op: OpIx(0), needs: Outcomes::ANY };
        let count = counts.last().copied().unwrap_or_default();
        self.dependants.items.resize((base + count) as usize, unfilled);
        let mut next = counts;
        for op in added {
            for edge in self.dependencies.row(op) {
                let dependant = Dependant { op, needs: edge.needs };
                if edge.on.0 < first {
                    self.later.entry(edge.on).or_default().push(dependant);
                    continue;
                }
                let slot = &mut next[(edge.on.0 - first) as usize];
                self.dependants.items[(base + *slot) as usize] = dependant;
                *slot += 1;
            }
        }
    }

    /// Number of operations.
    pub(crate) fn len(&self) -> usize {
        self.dependencies.starts.len() - 1
    }

    /// Adds a dependency of an operation on one that was added after it.
    pub(crate) fn add(&mut self, op: OpIx, edge: Edge) {
        self.on_later.entry(op).or_default().push(edge);
        self.later.entry(edge.on).or_default().push(Dependant { op, needs: edge.needs });
    }

    /// The dependencies of `op`: first those of its agenda in order, then those on operations added after it.
    pub fn dependencies(&self, op: OpIx) -> impl Iterator<Item = &Edge> + Clone {
        let later = if self.on_later.is_empty() { None } else { self.on_later.get(&op) };
        self.dependencies.row(op).iter().chain(later.into_iter().flatten())
    }

    /// The dependants of `op`, in order.
    pub fn dependants(&self, op: OpIx) -> impl Iterator<Item = Dependant> + '_ {
        let later = if self.later.is_empty() { None } else { self.later.get(&op) };
        self.dependants.row(op).iter().chain(later.into_iter().flatten()).copied()
    }

    /// A topological order that follows the order of the agenda where possible. Also returns the operations without
    /// such an order, which are in a cycle or depend on one.
    pub fn order(&self) -> (Vec<OpIx>, Vec<OpIx>) {
        let count = self.len();
        let all = (0..count as u32).map(OpIx);
        let mut unmet: Vec<usize> = all.clone().map(|op| self.dependencies(op).count()).collect();
        let mut ready: std::collections::BTreeSet<OpIx> =
            all.clone().filter(|op| unmet[op.index()] == 0).collect();
        let mut order = Vec::with_capacity(count);
        while let Some(op) = ready.pop_first() {
            order.push(op);
            for dependant in self.dependants(op) {
                let op = dependant.op;
                unmet[op.index()] -= 1;
                if unmet[op.index()] == 0 {
                    ready.insert(op);
                }
            }
        }
        let left =
            if order.len() == count { Vec::new() } else { all.filter(|op| unmet[op.index()] > 0).collect() };
        (order, left)
    }

    /// Disjoint cycles among `left`, each as the path from an operation back to itself.
    pub(crate) fn cycles(&self, left: &[OpIx]) -> Vec<Vec<OpIx>> {
        const UNSEEN: u8 = 0;
        const ON_PATH: u8 = 1;
        const DONE: u8 = 2;
        let mut mark = vec![UNSEEN; self.len()];
        let mut cycles = Vec::new();
        for start in left {
            if mark[start.index()] != UNSEEN {
                continue;
            }
            let mut path: Vec<(OpIx, usize)> = vec![(*start, 0)];
            mark[start.index()] = ON_PATH;
            while let Some((op, next)) = path.last_mut() {
                let Some(edge) = self.dependencies(*op).nth(*next) else {
                    mark[op.index()] = DONE;
                    path.pop();
                    continue;
                };
                *next += 1;
                match mark[edge.on.index()] {
                    UNSEEN => {
                        mark[edge.on.index()] = ON_PATH;
                        path.push((edge.on, 0));
                    }
                    ON_PATH => {
                        let from = path.iter().position(|(op, _)| *op == edge.on).unwrap_or_default();
                        let cycle: Vec<OpIx> = path[from..].iter().map(|(op, _)| *op).collect();
                        // marks its operations so that cycles stay disjoint
                        for op in &cycle {
                            mark[op.index()] = DONE;
                        }
                        path.truncate(from);
                        cycles.push(cycle);
                    }
                    _ => {}
                }
            }
        }
        cycles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(lists: &[&[u32]]) -> Graph {
        let edge = |on: &u32| Edge { on: OpIx(*on), kind: EdgeKind::Reads, needs: Outcomes::GOOD };
        let lists: Vec<Vec<Edge>> = lists.iter().map(|list| list.iter().map(edge).collect()).collect();
        Graph::new(&lists.into())
    }

    fn dependants(graph: &Graph, op: u32) -> Vec<u32> {
        graph.dependants(OpIx(op)).map(|dependant| dependant.op.0).collect()
    }

    fn numbers(ops: &[OpIx]) -> Vec<u32> {
        ops.iter().map(|op| op.0).collect()
    }

    #[test]
    fn dependencies_and_dependants_agree() {
        let graph = graph(&[&[], &[0], &[0, 1]]);
        assert_eq!(dependants(&graph, 0), [1, 2]);
        assert_eq!(dependants(&graph, 1), [2]);
        assert_eq!(graph.dependencies(OpIx(2)).count(), 2);
        assert_eq!(numbers(&graph.order().0), [0, 1, 2]);
    }

    #[test]
    fn grown_graph_equals_the_graph_built_at_once() {
        let edge = |on| Edge { on: OpIx(on), kind: EdgeKind::Follows, needs: Outcomes::GOOD };
        let lists =
            [vec![], vec![edge(0)], vec![edge(0), edge(1)], vec![], vec![edge(0), edge(3)], vec![edge(4)]];
        let whole = Graph::new(&lists.to_vec().into());
        let mut grown = Graph::new(&lists[..2].to_vec().into());
        grown.grow(lists[2..3].iter());
        grown.grow(lists[3..].iter());
        for op in 0..lists.len() as u32 {
            assert_eq!(dependants(&grown, op), dependants(&whole, op), "{op}");
            assert!(grown.dependencies(OpIx(op)).eq(whole.dependencies(OpIx(op))));
        }
        assert_eq!(grown.order(), whole.order());
    }

    #[test]
    fn cycles_are_found_as_disjoint_paths() {
        let graph = graph(&[&[2], &[0], &[1], &[3], &[0], &[]]);
        let (order, left) = graph.order();
        assert_eq!(numbers(&order), [5]);
        assert_eq!(numbers(&left), [0, 1, 2, 3, 4]);
        let cycles: Vec<_> = graph.cycles(&left).iter().map(|cycle| numbers(cycle)).collect();
        assert_eq!(cycles, [vec![0, 2, 1], vec![3]]);
    }
}
