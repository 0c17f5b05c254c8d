//! A directed graph of the calls that must come before other calls. Finds its cycles and a sorted order.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Why one call comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EdgeReason {
    /// If the second call came first, it would fail or be unsafe.
    Required,
    /// Take before give, for the affected role at this position.
    TakeBeforeGive(usize),
    /// A role attaches or detaches a policy whose document changes.
    ChangedDocument,
    /// In the other order, somebody would lose access for a moment. irsa drops such an edge if that breaks a cycle.
    Courtesy,
}

/// Nodes are numbers from 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    edges: Vec<Vec<(usize, EdgeReason)>>,
}

impl Graph {
    pub(super) fn new(nodes: usize) -> Self {
        Self { edges: vec![Vec::new(); nodes] }
    }

    /// Makes `first` come before `second`.
    pub(super) fn edge(&mut self, first: usize, second: usize, reason: EdgeReason) {
        if first != second && !self.edges[first].contains(&(second, reason)) {
            self.edges[first].push((second, reason));
        }
    }

    /// The nodes that come right after `node`, and why.
    pub(super) fn after(&self, node: usize) -> &[(usize, EdgeReason)] {
        &self.edges[node]
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(usize, usize, EdgeReason) -> bool) {
        for (first, edges) in self.edges.iter_mut().enumerate() {
            edges.retain(|(second, reason)| keep(first, *second, *reason));
        }
    }

    /// Whether `to` comes after `from`, directly or through other nodes.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            for (next, _) in &self.edges[node] {
                if *next == to {
                    return true;
                }
                if seen.insert(*next) {
                    open.push(*next);
                }
            }
        }
        false
    }

    /// The strongly connected components: sets of nodes that all reach each other. Each set is sorted.
    pub(super) fn cycles(&self) -> Vec<Vec<usize>> {
        let sorted: BTreeSet<usize> = self.sorted(|_| ()).into_iter().collect();
        let left: Vec<usize> = (0..self.edges.len()).filter(|node| !sorted.contains(node)).collect();
        let mut assigned = BTreeSet::new();
        let mut cycles = Vec::new();
        for node in &left {
            if assigned.contains(node) || !self.reaches(*node, *node) {
                continue;
            }
            let both_ways = |other: usize| self.reaches(*node, other) && self.reaches(other, *node);
            let cycle: Vec<usize> = left.iter().copied().filter(|other| other == node || both_ways(*other)).collect();
            assigned.extend(cycle.iter().copied());
            cycles.push(cycle);
        }
        cycles
    }

    /// The nodes in an order that the edges permit. If several nodes may come next, the node of the lowest rank does.
    /// Leaves out nodes in a cycle and nodes after a cycle.
    pub(super) fn sorted<R: Ord>(&self, rank: impl Fn(usize) -> R) -> Vec<usize> {
        let mut incoming = vec![0; self.edges.len()];
        self.edges.iter().flatten().for_each(|(next, _)| incoming[*next] += 1);
        let mut ready: BinaryHeap<Reverse<(R, usize)>> =
            (0..incoming.len()).filter(|node| incoming[*node] == 0).map(|node| Reverse((rank(node), node))).collect();
        let mut sorted = Vec::with_capacity(incoming.len());
        while let Some(Reverse((_, node))) = ready.pop() {
            sorted.push(node);
            for (next, _) in &self.edges[node] {
                incoming[*next] -= 1;
                if incoming[*next] == 0 {
                    ready.push(Reverse((rank(*next), *next)));
                }
            }
        }
        sorted
    }
}

#[cfg(test)]
mod tests;
