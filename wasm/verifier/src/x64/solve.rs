//! Examines a function: the least fixed point of what is known at each block, and then each rule.

use std::collections::BTreeSet;

use iced_x86::{ConditionCode, InstructionInfoFactory};

use super::{
    World,
    flow::{Edge, Flow},
    record::Record,
    state::{Arrival, BASE, FUEL, Flags, Merges, RDI, RDX, RSI, RSP, State},
    step::Step,
    value::{Id, Kind, Sum, Value},
};
use crate::image::{Function, Role};

/// Times that a block is looked at, at most. Blocks need a few dozen.
const MOST_VISITS: u32 = 2000;
/// After as many, what was known at the block before stays in what is merged: states only grow then,
/// and so come to an end.
const SETTLING_VISITS: u32 = 60;

/// Examines a function, and adds to the record.
pub(super) fn examine(world: &World<'_>, function: &Function, flow: &Flow, record: &mut Record) {
    let mut solver = Solver {
        world,
        function,
        flow,
        states: vec![None; flow.blocks.len()],
        arrivals: vec![Vec::new(); flow.blocks.len()],
        order: order(flow),
        visits: vec![0; flow.blocks.len()],
        queue: BTreeSet::new(),
        merges: Merges::default(),
        info: InstructionInfoFactory::new(),
    };
    let result = solver.attempt();
    record.absorb(result);
}

/// The place of each block in reverse postorder: most blocks come behind all that lead to them.
fn order(flow: &Flow) -> Vec<usize> {
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

struct Solver<'a> {
    world: &'a World<'a>,
    function: &'a Function,
    flow: &'a Flow,
    /// What is known at the entry of each block; `None` while no way leads there.
    states: Vec<Option<State>>,
    /// For each block, by the way that leads to it: what is known at the way's end.
    arrivals: Vec<Vec<((usize, usize), State)>>,
    order: Vec<usize>,
    visits: Vec<u32>,
    /// Blocks to look at, by their order.
    queue: BTreeSet<(usize, usize)>,
    merges: Merges,
    info: InstructionInfoFactory,
}

impl Solver<'_> {
    /// Examines the function from its entry on.
    fn attempt(&mut self) -> Record {
        self.states.fill(None);
        self.visits.fill(0);
        self.arrivals.iter_mut().for_each(Vec::clear);
        let entry = self.entry();
        self.arrive(0, (usize::MAX, 0), entry);
        let mut record = Record::default();
        if self.solve() {
            for block in 0..self.flow.blocks.len() {
                self.check(block, &mut record);
            }
        } else {
            record.refuse(
                self.function,
                &self.flow.instructions[0],
                "it is too complex to examine",
            );
        }
        record
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
                self.arrive(edge.to, (block, index), refined(state.clone(), edge.when));
            }
        }
    }

    /// A state comes to a block over a way, instead of the one that came before.
    fn arrive(&mut self, block: usize, way: (usize, usize), state: State) {
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

    /// What is known at the function's entry.
    fn entry(&self) -> State {
        let mut registers = [Value::new(Id::NONE, Kind::Any); 16];
        for (register, value) in registers.iter_mut().enumerate() {
            value.id = Id::entry(register);
        }
        registers[RSP].kind = Kind::Stack(0);
        match self.function.role {
            Role::Wasm | Role::Builtin(_) => registers[RDI].kind = Kind::Context,
            Role::Entry => {
                registers[RDI].kind = Kind::Context;
                registers[RDX].kind = Kind::Values;
            }
            Role::Exit => {
                registers[RDI].kind = Kind::HostContext;
                registers[RSI].kind = Kind::Context;
            }
        }
        if self.function.role != Role::Entry {
            registers[BASE].kind = Kind::Memory(Sum::default());
            registers[FUEL].kind = Kind::Fuel;
        }
        State::new(registers)
    }

    /// Applies the instructions of a block, and returns what is known behind them.
    fn walk(&mut self, block: usize, mut record: Option<&mut Record>) -> Option<State> {
        let mut state = self.states[block].clone()?;
        let flow = self.flow;
        for index in flow.blocks[block].instructions.clone() {
            let instruction = &flow.instructions[index];
            Step {
                world: self.world,
                function: self.function,
                flow,
                state: &mut state,
                instruction,
                index,
                record: record.as_deref_mut(),
                info: &mut self.info,
            }
            .run();
            if record.is_none()
                && (instruction.is_call_near() || instruction.is_call_near_indirect())
            {
                for handler in &flow.handlers {
                    let after = state.after_unwinding(|register| Id::made(index, register));
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
            let behind = refined(state.clone(), edge.when);
            let is_known = |arrival: &((usize, usize), State)| {
                arrival.0 == (block, index) && arrival.1 == behind
            };
            if !self.arrivals[edge.to].iter().any(is_known) {
                let last = &flow.instructions[flow.blocks[block].instructions.end - 1];
                record.refuse(self.function, last, "the examination did not come to an end");
            }
        }
    }
}

/// What is known on one way out of a conditional branch.
fn refined(mut state: State, when: Option<(ConditionCode, bool)>) -> State {
    use ConditionCode::{a, ae, b, be, e, ne};
    let Some((condition, holds)) = when else { return state };
    match (state.flags, condition, holds) {
        (Flags::Signature(of, index), e, true) | (Flags::Signature(of, index), ne, false) => {
            state.refine(of, |kind| match kind {
                Kind::FuncRef(_) => Kind::FuncRef(Some(index)),
                other => other,
            });
        }
        (Flags::Length(sum, false), a | ae, false)
        | (Flags::Length(sum, false), b | be, true)
        | (Flags::Length(sum, true), a | ae, true)
        | (Flags::Length(sum, true), b | be, false) => state.note_in_memory(sum),
        (Flags::StackLimit(more, at), a, false) => {
            state.stack_checked = Some(i64::from(at) - more.cast_signed());
        }
        _ => {}
    }
    state
}
