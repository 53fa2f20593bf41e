//! Dense numbers for operations, and vectors that are indexed by them.

use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// The number of an operation in its plan, in the order of the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpIx(pub u32);

impl OpIx {
    /// The number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One value for each operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OpMap<T>(Vec<T>);

impl<T> OpMap<T> {
    /// The same value for each of `count` operations.
    pub fn filled(count: usize, value: T) -> Self
    where
        T: Clone,
    {
        Self(vec![value; count])
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers of all operations, in order.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = OpIx> + use<T> {
        (0..self.0.len() as u32).map(OpIx)
    }

    /// The number and value of each operation, in order.
    pub fn iter(&self) -> impl Iterator<Item = (OpIx, &T)> {
        self.0.iter().enumerate().map(|(index, value)| (OpIx(index as u32), value))
    }

    /// Adds the value of one more operation.
    pub fn push(&mut self, value: T) {
        self.0.push(value);
    }

    /// The values of all operations, in order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// The values of all operations, in order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }

    /// The value of `op`, if there is such an operation.
    pub fn get(&self, op: OpIx) -> Option<&T> {
        self.0.get(op.index())
    }
}

impl<T> From<Vec<T>> for OpMap<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T> Index<OpIx> for OpMap<T> {
    type Output = T;
    fn index(&self, op: OpIx) -> &T {
        &self.0[op.index()]
    }
}

impl<T> IndexMut<OpIx> for OpMap<T> {
    fn index_mut(&mut self, op: OpIx) -> &mut T {
        &mut self.0[op.index()]
    }
}
