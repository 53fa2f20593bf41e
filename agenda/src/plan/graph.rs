//! Who waits for whom, in two dense tables; and the paths of cycles.

use crate::ops::{OpIx, OpMap};

/// Why one operation waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// Its payload refers to the other's result.
    Reads,
    /// `dependsOn` names the other.
    Follows,
}

/// One operation that another waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The operation that is waited for.
    pub on: OpIx,
    /// Why.
    pub kind: EdgeKind,
}

/// Lists of different lengths behind one another, and where each begins.
#[derive(Debug, Clone)]
struct Rows<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Rows<T> {
    fn row(&self, op: OpIx) -> &[T] {
        &self.items[self.starts[op.index()] as usize..self.starts[op.index() + 1] as usize]
    }
}

/// Who waits for whom.
#[derive(Debug, Clone)]
pub struct Graph {
    dependencies: Rows<Edge>,
    dependants: Rows<OpIx>,
}

impl Graph {
    /// The graph of these dependencies; each list is sorted, and each operation stands in it once.
    pub(crate) fn new(lists: &OpMap<Vec<Edge>>) -> Self {
        let mut dependencies = Rows { starts: vec![0], items: Vec::new() };
        let mut counts = vec![0_u32; lists.len() + 1];
        for (_, edges) in lists.iter() {
            dependencies.items.extend_from_slice(edges);
            dependencies.starts.push(dependencies.items.len() as u32);
            for edge in edges {
                counts[edge.on.index() + 1] += 1;
            }
        }
        for index in 1..counts.len() {
            counts[index] += counts[index - 1];
        }
        let mut next = counts.clone();
        let mut items = vec![OpIx(0); dependencies.items.len()];
        for (op, edges) in lists.iter() {
            for edge in edges {
                let slot = &mut next[edge.on.index()];
                items[*slot as usize] = op;
                *slot += 1;
            }
        }
        Self { dependencies, dependants: Rows { starts: counts, items } }
    }

    /// The operations that `op` waits for, in their order.
    pub fn dependencies(&self, op: OpIx) -> &[Edge] {
        self.dependencies.row(op)
    }

    /// The operations that wait for `op`, in their order.
    pub fn dependants(&self, op: OpIx) -> &[OpIx] {
        self.dependants.row(op)
    }

    /// An order in which every operation comes after what it waits for, the agenda's order where free; and the
    /// operations that have no such order because they wait for themselves or for ones that do.
    pub fn order(&self) -> (Vec<OpIx>, Vec<OpIx>) {
        let count = self.dependencies.starts.len() - 1;
        let all = (0..count as u32).map(OpIx);
        let mut unmet: Vec<usize> = all.clone().map(|op| self.dependencies(op).len()).collect();
        let mut ready: std::collections::BTreeSet<OpIx> =
            all.clone().filter(|op| unmet[op.index()] == 0).collect();
        let mut order = Vec::with_capacity(count);
        while let Some(op) = ready.pop_first() {
            order.push(op);
            for dependant in self.dependants(op) {
                unmet[dependant.index()] -= 1;
                if unmet[dependant.index()] == 0 {
                    ready.insert(*dependant);
                }
            }
        }
        let left =
            if order.len() == count { Vec::new() } else { all.filter(|op| unmet[op.index()] > 0).collect() };
        (order, left)
    }

    /// Cycles that share no operation, each as the path from an operation back to it, found among `left`.
    pub(crate) fn cycles(&self, left: &[OpIx]) -> Vec<Vec<OpIx>> {
        const UNSEEN: u8 = 0;
        const ON_PATH: u8 = 1;
        const DONE: u8 = 2;
        let mut mark = vec![UNSEEN; self.dependencies.starts.len() - 1];
        let mut cycles = Vec::new();
        for start in left {
            if mark[start.index()] != UNSEEN {
                continue;
            }
            let mut path: Vec<(OpIx, usize)> = vec![(*start, 0)];
            mark[start.index()] = ON_PATH;
            while let Some((op, next)) = path.last_mut() {
                let Some(edge) = self.dependencies(*op).get(*next) else {
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
                        // its operations are done with, so that another cycle shares none of them
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
        let edge = |on: &u32| Edge { on: OpIx(*on), kind: EdgeKind::Reads };
        let lists: Vec<Vec<Edge>> = lists.iter().map(|list| list.iter().map(edge).collect()).collect();
        Graph::new(&lists.into())
    }

    fn numbers(ops: &[OpIx]) -> Vec<u32> {
        ops.iter().map(|op| op.0).collect()
    }

    #[test]
    fn both_directions_agree() {
        let graph = graph(&[&[], &[0], &[0, 1]]);
        assert_eq!(numbers(graph.dependants(OpIx(0))), [1, 2]);
        assert_eq!(numbers(graph.dependants(OpIx(1))), [2]);
        assert_eq!(graph.dependencies(OpIx(2)).len(), 2);
        assert_eq!(numbers(&graph.order().0), [0, 1, 2]);
    }

    #[test]
    fn cycles_are_found_as_paths_and_share_nothing() {
        let graph = graph(&[&[2], &[0], &[1], &[3], &[0], &[]]);
        let (order, left) = graph.order();
        assert_eq!(numbers(&order), [5]);
        assert_eq!(numbers(&left), [0, 1, 2, 3, 4]);
        let cycles: Vec<_> = graph.cycles(&left).iter().map(|cycle| numbers(cycle)).collect();
        assert_eq!(cycles, [vec![0, 2, 1], vec![3]]);
    }
}
