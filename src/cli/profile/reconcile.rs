//! Adjusts the fuel of the lines so that it adds up to the fuel of a run without tracing.
//!
//! Costs of events are averages. Their errors are proportional to the number of events, and are
//! subtracted by that. The rest comes from warm-up and from a different memory layout, and is
//! spread in proportion to fuel.

use super::record::{Node, ROOT};

/// Most units by which the cost of an event may differ from its average. Larger differences are
/// spread by fuel.
const MAX_ERROR: i64 = 10;

/// Makes the nodes' own fuel add up to `inside`, with no negative value. Returns the surplus before
/// the adjustment, in units.
pub(crate) fn reconcile(nodes: &mut [Node], inside: i64) -> i64 {
    nodes[ROOT].own = 0;
    let nodes = &mut nodes[ROOT + 1..];
    let unexplained = sum(nodes) - inside;
    let most = nodes
        .iter()
        .map(|node| i64::try_from(node.events).unwrap_or(i64::MAX))
        .sum::<i64>()
        .saturating_mul(MAX_ERROR);
    subtract(nodes, unexplained.clamp(-most, most), |node| node.events);
    nodes.iter_mut().for_each(|node| node.own = node.own.max(0));
    let raised = sum(nodes) - inside;
    subtract(nodes, raised, |node| node.own.unsigned_abs());
    unexplained
}

fn sum(nodes: &[Node]) -> i64 {
    nodes.iter().map(|node| node.own).sum()
}

/// Subtracts exactly `units` in all, from each node in proportion to its weight.
fn subtract(nodes: &mut [Node], units: i64, weight: impl Fn(&Node) -> u64) {
    let all: i128 = nodes.iter().map(|node| i128::from(weight(node))).sum();
    let (mut before, mut taken) = (0, 0);
    for node in nodes {
        // Without any weight the first node has all.
        before = if all == 0 { 1 } else { before + i128::from(weight(node)) };
        // The quotient is at most 1, so the product fits.
        let until = (i128::from(units) * before / all.max(1)) as i64;
        node.own -= until - taken;
        taken = until;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes(of: &[(i64, u64)]) -> Vec<Node> {
        let node = |&(own, events): &(i64, u64)| Node {
            parent: ROOT,
            code: 0,
            line: 1,
            own,
            events,
            hits: 0,
            calls: 0,
        };
        [(7, 7)].iter().chain(of).map(node).collect()
    }

    #[test]
    fn the_surplus_is_subtracted_by_events() {
        let mut some = nodes(&[(1000, 1), (2000, 9)]);
        assert_eq!(reconcile(&mut some, 2900), 100);
        assert_eq!(some.iter().map(|node| node.own).collect::<Vec<_>>(), [0, 990, 1910]);
    }

    #[test]
    fn no_node_becomes_negative() {
        let mut some = nodes(&[(-50, 0), (1000, 1)]);
        assert_eq!(reconcile(&mut some, 900), 50);
        assert_eq!(some.iter().map(|node| node.own).collect::<Vec<_>>(), [0, 0, 900]);
    }

    proptest! {
        #[test]
        fn the_sum_is_exact(
            of in prop::collection::vec((-1000..1_000_000i64, 0..1000u64), 1..50), inside in 0..100_000_000i64
        ) {
            let mut some = nodes(&of);
            reconcile(&mut some, inside);
            prop_assert_eq!(sum(&some), inside);
            prop_assert!(some.iter().all(|node| node.own >= 0));
        }
    }
}
