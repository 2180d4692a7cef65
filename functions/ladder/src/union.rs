//! Disjoint sets of things that have names.

use std::collections::BTreeMap;

/// Sets of `T`, joined as ties become known.
#[derive(Clone, Debug)]
pub(crate) struct Union<T> {
    nodes: BTreeMap<T, usize>,
    parents: Vec<usize>,
}

impl<T> Default for Union<T> {
    fn default() -> Self {
        Union { nodes: BTreeMap::new(), parents: Vec::new() }
    }
}

impl<T: Ord> Union<T> {
    /// The number of `thing`, which is a set of its own if it is new.
    pub(crate) fn node(&mut self, thing: T) -> usize {
        let parents = &mut self.parents;
        *self.nodes.entry(thing).or_insert_with(|| {
            parents.push(parents.len());
            parents.len() - 1
        })
    }

    /// A set without a name.
    pub(crate) fn anonymous(&mut self) -> usize {
        self.parents.push(self.parents.len());
        self.parents.len() - 1
    }

    /// The number of `thing`, if it is known.
    pub(crate) fn find<Q: Ord + ?Sized>(&self, thing: &Q) -> Option<usize>
    where
        T: std::borrow::Borrow<Q>,
    {
        self.nodes.get(thing).map(|node| self.root(*node))
    }

    /// The set that a number is in.
    pub(crate) fn root(&self, mut node: usize) -> usize {
        while self.parents[node] != node {
            node = self.parents[node];
        }
        node
    }

    /// Joins two sets; the older one gives its number.
    pub(crate) fn join(&mut self, a: usize, b: usize) -> usize {
        let (left, right) = (self.root(a), self.root(b));
        let (older, newer) = (left.min(right), left.max(right));
        self.parents[newer] = older;
        // Both paths now lead straight to the root, so that long chains do not stay long.
        for start in [a, b] {
            let mut node = start;
            while self.parents[node] != older {
                node = std::mem::replace(&mut self.parents[node], older);
            }
        }
        older
    }

    /// All things with their sets, in the order of the things.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&T, usize)> {
        self.nodes.iter().map(|(thing, node)| (thing, self.root(*node)))
    }
}
