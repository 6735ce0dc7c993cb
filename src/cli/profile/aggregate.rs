//! Aggregates a recording into the fuel of each function and each line.

use std::collections::BTreeMap;

use super::{
    reconcile::reconcile,
    record::{Code, Costs, Node, PerEvent, ROOT, Recording},
};

/// Longest path in nodes that exports show. It bounds the size of a file: each sample lists its
/// whole path.
const MAX_PATH: usize = 500;

/// The fuel of a program by function and by line.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Units that the program consumed without tracing, as `bench` counts them.
    pub fuel: u64,
    /// Of these, the units of its own code: the sum over its lines.
    pub inside: i64,
    /// Units by which the traced lines exceeded `inside`, after subtracting the cost of tracing.
    /// The lines' figures are adjusted by it (see [`reconcile`]).
    pub unexplained: i64,
    /// The recorded events of each kind.
    pub events: PerEvent<u64>,
    /// The subtracted costs.
    pub costs: Costs,
    pub codes: Vec<Code>,
    pub nodes: Vec<Node>,
    /// By function, the most expensive first.
    pub functions: Vec<FunctionFuel>,
    /// By line.
    pub lines: BTreeMap<u32, Share>,
}

/// The fuel of a function.
#[derive(Debug)]
pub(crate) struct FunctionFuel {
    /// Its index in [`Profile::codes`].
    pub code: usize,
    pub calls: u64,
    pub share: Share,
}

/// Fuel of a function or a line, in units.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    /// Without callees.
    pub own: i64,
    /// With callees. Recursion counts once.
    pub total: i64,
    /// Executions of the line.
    pub hits: u64,
}

impl Profile {
    pub(crate) fn new(recording: Recording, fuel: u64, inside: i64) -> Self {
        let Recording { costs, codes, mut nodes, events, .. } = recording;
        // The guest is not trusted: its marks may be forged or missing.
        let most = if nodes.len() > 1 { i64::try_from(fuel).unwrap_or(i64::MAX) } else { 0 };
        let inside = inside.clamp(0, most);
        let unexplained = reconcile(&mut nodes, inside) - costs.fixed;
        let mut functions: Vec<FunctionFuel> = (0..codes.len())
            .map(|code| FunctionFuel { code, calls: 0, share: Share::default() })
            .collect();
        let mut lines = BTreeMap::<u32, Share>::new();
        let totals = totals(&nodes);
        for (index, is_outermost) in outermost(&nodes, codes.len()) {
            let node = &nodes[index];
            let line = lines.entry(node.line).or_default();
            let function = &mut functions[node.code];
            function.calls += node.calls;
            function.share.own += node.own;
            line.own += node.own;
            line.hits += node.hits;
            if is_outermost.function {
                function.share.total += totals[index];
            }
            if is_outermost.line {
                line.total += totals[index];
            }
        }
        functions.retain(|function| function.calls > 0);
        functions.sort_by_key(|function| (-function.share.own, function.code));
        Self { fuel, inside, unexplained, events, costs, codes, nodes, functions, lines }
    }

    /// Returns the unexplained units in per cent of the fuel of the program's own code.
    pub(crate) fn unexplained_percent(&self) -> f64 {
        100.0 * self.unexplained as f64 / self.inside.max(1) as f64
    }

    /// Returns the units that the task consumed outside the program's own code: start, input,
    /// compilation, result.
    pub(crate) fn outside(&self) -> u64 {
        self.fuel - self.inside.unsigned_abs()
    }

    /// Returns the nodes with fuel of their own, each as its path from the outermost node. A node
    /// deeper than [`MAX_PATH`] counts for its ancestor at that depth.
    pub(crate) fn stacks(&self) -> impl Iterator<Item = (Vec<&Node>, u64)> {
        let (mut depths, mut shown) =
            (vec![0_usize; self.nodes.len()], vec![ROOT; self.nodes.len()]);
        let mut own = vec![0_u64; self.nodes.len()];
        // Invariant: a parent precedes its children.
        for (index, node) in self.nodes.iter().enumerate().skip(1) {
            depths[index] = depths[node.parent] + 1;
            shown[index] = if depths[index] <= MAX_PATH { index } else { shown[node.parent] };
            own[shown[index]] += u64::try_from(node.own).unwrap_or(0);
        }
        own.into_iter().enumerate().skip(1).filter(|&(_, fuel)| fuel > 0).map(|(index, fuel)| {
            let mut stack = Vec::new();
            let mut at = index;
            while at != ROOT {
                stack.push(&self.nodes[at]);
                at = self.nodes[at].parent;
            }
            stack.reverse();
            (stack, fuel)
        })
    }
}

/// Returns the fuel of each node with its descendants. Relies on the invariant that a parent
/// precedes its children.
fn totals(nodes: &[Node]) -> Vec<i64> {
    let mut totals: Vec<i64> = nodes.iter().map(|node| node.own).collect();
    for index in (1..nodes.len()).rev() {
        totals[nodes[index].parent] += totals[index];
    }
    totals
}

/// Whether a node is the outermost one of its function, and of its line: recursion must count once.
struct Outermost {
    function: bool,
    line: bool,
}

/// Returns every node but the root, in depth-first order.
fn outermost(nodes: &[Node], codes: usize) -> Vec<(usize, Outermost)> {
    let mut children = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate().skip(1) {
        children[node.parent].push(index);
    }
    let (mut functions, mut lines) = (vec![0_u32; codes], BTreeMap::<u32, u32>::new());
    let mut found = Vec::with_capacity(nodes.len());
    // Each node twice: on entry, and on exit (`true`).
    let mut todo: Vec<(usize, bool)> = children[ROOT].iter().map(|&child| (child, false)).collect();
    while let Some((index, done)) = todo.pop() {
        let node = &nodes[index];
        let (function, line) = (&mut functions[node.code], lines.entry(node.line).or_default());
        if done {
            *function -= 1;
            *line -= 1;
            continue;
        }
        found.push((index, Outermost { function: *function == 0, line: *line == 0 }));
        *function += 1;
        *line += 1;
        todo.push((index, true));
        todo.extend(children[index].iter().map(|&child| (child, false)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::profile::record::Recorder;

    #[test]
    fn recursion_counts_once_in_the_totals() {
        let node = |parent, line, own| Node {
            parent,
            code: 0,
            line,
            own,
            events: 1,
            hits: 1,
            calls: u64::from(line == 1),
        };
        let nodes =
            vec![node(0, 0, 0), node(0, 1, 10), node(0, 2, 20), node(2, 1, 30), node(2, 2, 40)];
        let code = serde_json::from_str::<Code>(r#"{"name":"f","line":1}"#).unwrap();
        let mut recording = Recorder::new(Costs::default()).take();
        (recording.nodes, recording.codes) = (nodes, vec![code]);
        let profile = Profile::new(recording, 1000, 100);
        assert_eq!((profile.unexplained, profile.outside()), (0, 900));
        let share = profile.functions[0].share;
        assert_eq!((share.own, share.total, profile.functions[0].calls), (100, 100, 2));
        assert_eq!((profile.lines[&1].own, profile.lines[&1].total), (40, 40));
        assert_eq!((profile.lines[&2].own, profile.lines[&2].total), (60, 90));
    }
}
