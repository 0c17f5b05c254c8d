//! Which call comes before which: a directed graph, its circles, and an order that it admits.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Why one call comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// An object must be there, or must no longer be used.
    Existence,
    /// Take before you give, for the role at this position among the viewers.
    TakeBeforeGive(usize),
    /// Who takes or leaves a policy whose document changes.
    ChangedDocument,
    /// So that a ServiceAccount is not without its role for a moment: gives way to all others.
    Courtesy,
}

/// Nodes are numbers from 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    edges: Vec<Vec<(usize, Why)>>,
}

impl Graph {
    pub(super) fn new(nodes: usize) -> Self {
        Self { edges: vec![Vec::new(); nodes] }
    }

    /// `first` comes before `second`.
    pub(super) fn edge(&mut self, first: usize, second: usize, why: Why) {
        let parallel = |edge: &&(usize, Why)| edge.0 == second && edge.1 == why;
        if first != second && !self.edges[first].iter().any(|edge| parallel(&edge)) {
            self.edges[first].push((second, why));
        }
    }

    /// What comes after `node`, and why.
    pub(super) fn after(&self, node: usize) -> &[(usize, Why)] {
        &self.edges[node]
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(usize, usize, Why) -> bool) {
        for (first, edges) in self.edges.iter_mut().enumerate() {
            edges.retain(|(second, why)| keep(first, *second, *why));
        }
    }

    /// Whether `to` must come after `from`.
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

    /// Nodes each of which must come before all of them: an order is impossible. Sorted. None is the usual answer, which
    /// takes one pass.
    pub(super) fn circles(&self) -> Vec<Vec<usize>> {
        let left = self.unordered();
        let mut assigned = BTreeSet::new();
        let mut circles = Vec::new();
        for node in &left {
            if assigned.contains(node) || !self.reaches(*node, *node) {
                continue;
            }
            let circle: Vec<usize> = left
                .iter()
                .copied()
                .filter(|other| other == node || (self.reaches(*node, *other) && self.reaches(*other, *node)))
                .collect();
            assigned.extend(circle.iter().copied());
            circles.push(circle);
        }
        circles
    }

    fn incoming(&self) -> Vec<usize> {
        let mut incoming = vec![0; self.edges.len()];
        self.edges.iter().flatten().for_each(|(next, _)| incoming[*next] += 1);
        incoming
    }

    /// The nodes in or behind a circle.
    fn unordered(&self) -> Vec<usize> {
        let mut incoming = self.incoming();
        let mut ready: Vec<usize> = (0..incoming.len()).filter(|node| incoming[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            for (next, _) in &self.edges[node] {
                incoming[*next] -= 1;
                if incoming[*next] == 0 {
                    ready.push(*next);
                }
            }
        }
        (0..incoming.len()).filter(|node| incoming[*node] > 0).collect()
    }

    /// All nodes, each after those that must come before it, and among those that may come next the one of the least rank.
    /// Nodes in or behind a circle are left out.
    pub(super) fn sorted<R: Ord>(&self, rank: impl Fn(usize) -> R) -> Vec<usize> {
        let mut incoming = self.incoming();
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
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph::new(nodes);
        for (first, second) in edges {
            graph.edge(*first, *second, Why::Existence);
        }
        graph
    }

    #[test]
    fn order_is_by_rank_as_far_as_the_edges_admit() {
        let graph = graph(4, &[(3, 0), (2, 1)]);
        assert_eq!(graph.sorted(|node| node), [2, 1, 3, 0]);
        assert_eq!(graph.circles(), [[0; 0]; 0]);
        assert!(graph.reaches(3, 0) && !graph.reaches(0, 3) && !graph.reaches(1, 1));
    }

    #[test]
    fn circles_are_found_apart_and_what_is_behind_them_is_in_none() {
        let graph = graph(6, &[(0, 1), (1, 0), (1, 2), (3, 4), (4, 5), (5, 3)]);
        assert_eq!(graph.circles(), [vec![0, 1], vec![3, 4, 5]]);
        assert_eq!(graph.sorted(|node| node), [0; 0]);
    }
}
