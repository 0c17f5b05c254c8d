use super::*;

fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
    let mut graph = Graph::new(nodes);
    for (first, second) in edges {
        graph.edge(*first, *second, EdgeReason::Required);
    }
    graph
}

#[test]
fn order_follows_the_edges_then_the_rank() {
    let graph = graph(4, &[(3, 0), (2, 1)]);
    assert_eq!(graph.sorted(|node| node), [2, 1, 3, 0]);
    assert_eq!(graph.cycles(), [[0; 0]; 0]);
    assert!(graph.reaches(3, 0) && !graph.reaches(0, 3) && !graph.reaches(1, 1));
}

#[test]
fn separate_cycles_are_found_without_the_nodes_behind_them() {
    let graph = graph(6, &[(0, 1), (1, 0), (1, 2), (3, 4), (4, 5), (5, 3)]);
    assert_eq!(graph.cycles(), [vec![0, 1], vec![3, 4, 5]]);
    assert_eq!(graph.sorted(|node| node), [0; 0]);
}
