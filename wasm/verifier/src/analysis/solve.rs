//! Examines a function: the least fixed point of what is known at each block, and then each rule.

use std::collections::BTreeSet;

use super::{
    flow::{Edge, Flow, Instruction},
    record::Record,
    state::{Arrival, Merges, State},
    value::Id,
};

/// Times that a block is looked at, at most. Blocks need a few dozen.
const MOST_VISITS: u32 = 2000;
/// After as many, what was known at the block before stays in what is merged: states only grow then,
/// and so come to an end.
const SETTLING_VISITS: u32 = 60;

/// The rules of an architecture, for one function.
pub(crate) trait Rules<const REGISTERS: usize> {
    type Instruction: Instruction;
    /// The indices of the stack pointer and the frame pointer.
    const POINTERS: [usize; 2];

    /// What is known at the function's entry.
    fn entry(&self) -> State<REGISTERS>;
    /// Applies an instruction to what is known before it. Checks and counts if there is a record.
    fn step(&mut self, state: &mut State<REGISTERS>, index: usize, record: Option<&mut Record>);
    /// Whether an instruction calls: the callee may trap.
    fn is_call(&self, index: usize) -> bool;
    /// What is known on one way out of a conditional branch.
    fn refined(
        state: State<REGISTERS>,
        when: Option<(<Self::Instruction as Instruction>::Condition, bool)>,
    ) -> State<REGISTERS>;
    /// Reports a rule that is not proved for an instruction.
    fn refuse(&self, record: &mut Record, index: usize, reason: &str);
}

/// Examines a function, and adds to the record.
pub(crate) fn examine<const N: usize, R: Rules<N>>(
    rules: R,
    flow: &Flow<R::Instruction>,
    record: &mut Record,
) {
    let mut solver = Solver {
        rules,
        flow,
        states: vec![None; flow.blocks.len()],
        arrivals: vec![Vec::new(); flow.blocks.len()],
        order: order(flow),
        visits: vec![0; flow.blocks.len()],
        queue: BTreeSet::new(),
        merges: Merges::default(),
    };
    solver.attempt(record);
}

/// The place of each block in reverse postorder: most blocks come behind all that lead to them.
fn order<I: Instruction>(flow: &Flow<I>) -> Vec<usize> {
    let mut order = vec![usize::MAX; flow.blocks.len()];
    let mut next = flow.blocks.len();
    let mut seen = vec![false; flow.blocks.len()];
    for root in flow.handlers.iter().copied().chain([0]) {
        let mut path = vec![(root, 0)];
        seen[root] = true;
        while let Some((block, edge)) = path.last_mut() {
            match flow.blocks[*block].edges.get(*edge) {
                Some(Edge { to, .. }) => {
                    *edge += 1;
                    if !std::mem::replace(&mut seen[*to], true) {
                        path.push((*to, 0));
                    }
                }
                None => {
                    next -= 1;
                    order[*block] = next;
                    path.pop();
                }
            }
        }
    }
    order
}

/// A way to a block: the block and the edge that it comes from, or a call that may trap.
type From = (usize, usize);

struct Solver<'a, const N: usize, R: Rules<N>> {
    rules: R,
    flow: &'a Flow<R::Instruction>,
    /// What is known at the entry of each block; `None` while no way leads there.
    states: Vec<Option<State<N>>>,
    /// For each block, by the way that leads to it: what is known at the way's end.
    arrivals: Vec<Vec<(From, State<N>)>>,
    order: Vec<usize>,
    visits: Vec<u32>,
    /// Blocks to look at, by their order.
    queue: BTreeSet<(usize, usize)>,
    merges: Merges,
}

impl<const N: usize, R: Rules<N>> Solver<'_, N, R> {
    /// Examines the function from its entry on.
    fn attempt(&mut self, record: &mut Record) {
        let entry = self.rules.entry();
        self.arrive(0, (usize::MAX, 0), entry);
        if self.solve() {
            for block in 0..self.flow.blocks.len() {
                self.check(block, record);
            }
        } else {
            self.rules.refuse(record, 0, "it is too complex to examine");
        }
    }

    /// Follows all ways until nothing changes; `false` if that takes too long.
    fn solve(&mut self) -> bool {
        while let Some((_, block)) = self.queue.pop_first() {
            if self.enter(block) {
                self.visits[block] += 1;
                if self.visits[block] > MOST_VISITS {
                    self.queue.clear();
                    return false;
                }
                self.leave(block);
            }
        }
        true
    }

    /// Applies a block, and hands what is known behind it to all blocks that follow.
    fn leave(&mut self, block: usize) {
        if let Some(state) = self.walk(block, None) {
            let flow = self.flow;
            for (index, edge) in flow.blocks[block].edges.iter().enumerate() {
                self.arrive(edge.to, (block, index), R::refined(state.clone(), edge.when));
            }
        }
    }

    /// A state comes to a block over a way, instead of the one that came before.
    fn arrive(&mut self, block: usize, way: From, state: State<N>) {
        let arrivals = &mut self.arrivals[block];
        match arrivals.iter_mut().find(|arrival| arrival.0 == way) {
            Some(arrival) if arrival.1 == state => return,
            Some(arrival) => arrival.1 = state,
            None => arrivals.push((way, state)),
        }
        self.queue.insert((self.order[block], block));
    }

    /// Merges what came to a block; whether that is news.
    ///
    /// All of it is merged anew each time. What came earlier and is outdated would look like a
    /// value of its own, and so hide that two values are equal.
    fn enter(&mut self, block: usize) -> bool {
        let makes = self.flow.blocks[block].instructions.clone();
        let mut arrival = Arrival { block, makes, merges: &mut self.merges };
        let mut states = self.arrivals[block].iter().map(|(_, state)| state.clone());
        let Some(first) = states.next() else { return false };
        let mut merged = arrival.first(first);
        for state in states {
            arrival.merge(&mut merged, state);
        }
        if self.visits[block] > SETTLING_VISITS
            && let Some(before) = self.states[block].clone()
        {
            arrival.merge(&mut merged, before);
        }
        let is_news = self.states[block].as_ref() != Some(&merged);
        if is_news {
            self.states[block] = Some(merged);
        }
        is_news
    }

    /// Applies the instructions of a block, and returns what is known behind them.
    fn walk(&mut self, block: usize, mut record: Option<&mut Record>) -> Option<State<N>> {
        let mut state = self.states[block].clone()?;
        let flow = self.flow;
        for index in flow.blocks[block].instructions.clone() {
            self.rules.step(&mut state, index, record.as_deref_mut());
            if record.is_none() && self.rules.is_call(index) {
                for handler in &flow.handlers {
                    let after =
                        state.after_unwinding(R::POINTERS, |register| Id::made(index, register));
                    self.arrive(*handler, (usize::MAX, index), after);
                }
            }
        }
        Some(state)
    }

    /// Checks the rules in a block, with what is known at last.
    fn check(&mut self, block: usize, record: &mut Record) {
        let Some(state) = self.walk(block, Some(record)) else {
            return record.report.count("code: blocks that no way leads to");
        };
        record.report.count("code: blocks");
        let flow = self.flow;
        for (index, edge) in flow.blocks[block].edges.iter().enumerate() {
            let behind = R::refined(state.clone(), edge.when);
            let is_known =
                |arrival: &(From, State<N>)| arrival.0 == (block, index) && arrival.1 == behind;
            if !self.arrivals[edge.to].iter().any(is_known) {
                let last = flow.blocks[block].instructions.end - 1;
                self.rules.refuse(record, last, "the examination did not come to an end");
            }
        }
    }
}
