//! Brings the lines' fuel to the sum that it has when nobody watches.
//!
//! Costs of events are averages, so some of what they leave unexplained came with the events, and is taken off there. The
//! rest is of the program's first steps, and of memory that lies elsewhere: it is spread by fuel.

use super::record::{Node, ROOT};

/// Units that an event may have cost more, or less, than on average.
const OFF: i64 = 10;

/// Makes the nodes' own fuel add up to `inside`, and none of it less than nothing. Returns what was unexplained: how much
/// more than `inside` it was.
pub(crate) fn settle(nodes: &mut [Node], inside: i64) -> i64 {
    nodes[ROOT].own = 0;
    let nodes = &mut nodes[ROOT + 1..];
    let unexplained = sum(nodes) - inside;
    let most = nodes
        .iter()
        .map(|node| i64::try_from(node.events).unwrap_or(i64::MAX))
        .sum::<i64>()
        .saturating_mul(OFF);
    take(nodes, unexplained.clamp(-most, most), |node| node.events);
    nodes.iter_mut().for_each(|node| node.own = node.own.max(0));
    let raised = sum(nodes) - inside;
    take(nodes, raised, |node| node.own.unsigned_abs());
    unexplained
}

fn sum(nodes: &[Node]) -> i64 {
    nodes.iter().map(|node| node.own).sum()
}

/// Takes so many units off, in proportion to a weight, and to the unit.
fn take(nodes: &mut [Node], units: i64, weight: impl Fn(&Node) -> u64) {
    let all: i128 = nodes.iter().map(|node| i128::from(weight(node))).sum();
    let (mut before, mut taken) = (0, 0);
    for node in nodes {
        // Where none has any weight, the first has all.
        before = if all == 0 { 1 } else { before + i128::from(weight(node)) };
        // Of all units no more than there are: they fit.
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
    fn what_is_unexplained_is_taken_off_where_the_events_were() {
        let mut some = nodes(&[(1000, 1), (2000, 9)]);
        assert_eq!(settle(&mut some, 2900), 100);
        assert_eq!(some.iter().map(|node| node.own).collect::<Vec<_>>(), [0, 990, 1910]);
    }

    #[test]
    fn nothing_burns_less_than_nothing() {
        let mut some = nodes(&[(-50, 0), (1000, 1)]);
        assert_eq!(settle(&mut some, 900), 50);
        assert_eq!(some.iter().map(|node| node.own).collect::<Vec<_>>(), [0, 0, 900]);
    }

    proptest! {
        #[test]
        fn the_sum_is_exact(
            of in prop::collection::vec((-1000..1_000_000i64, 0..1000u64), 1..50), inside in 0..100_000_000i64
        ) {
            let mut some = nodes(&of);
            settle(&mut some, inside);
            prop_assert_eq!(sum(&some), inside);
            prop_assert!(some.iter().all(|node| node.own >= 0));
        }
    }
}
