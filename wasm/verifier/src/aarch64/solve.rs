//! The rules for one function, as the search for the fixed point applies them.

use super::{
    Instruction,
    flow::Flow,
    instruction::{Condition, Operation, SP},
    registers::{CALLER, CONTEXT, COUNT, FRAME, FUEL, HOST_CONTEXT, State},
    step::Step,
};
use crate::{
    analysis::{
        compare,
        record::Record,
        solve,
        value::{Id, Kind, Value},
        world::World,
    },
    image::{Builtin, Function, Role},
};

/// A function, and what its examination needs.
pub(super) struct Rules<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) function: &'a Function,
    pub(super) flow: &'a Flow,
}

impl solve::Rules<COUNT> for Rules<'_> {
    type Instruction = Instruction;
    const POINTERS: [usize; 2] = [SP, FRAME];

    fn entry(&self) -> State {
        let mut registers = [Value::UNKNOWN; COUNT];
        for (register, value) in registers.iter_mut().enumerate() {
            value.id = Id::entry(register);
        }
        registers[SP].kind = Kind::Stack(0);
        match self.function.role {
            Role::Builtin(Builtin::OutOfFuel) => registers[HOST_CONTEXT].kind = Kind::Context,
            Role::Wasm | Role::Builtin(_) => registers[CONTEXT].kind = Kind::Context,
            Role::Entry => {
                registers[HOST_CONTEXT].kind = Kind::Context;
                registers[HOST_CONTEXT + 2].kind = Kind::Values;
            }
            Role::Exit => {
                registers[CONTEXT].kind = Kind::HostContext;
                registers[CALLER].kind = Kind::Context;
            }
        }
        if self.function.role != Role::Entry {
            registers[FUEL].kind = Kind::Fuel;
        }
        State::new(registers)
    }

    fn step(&mut self, state: &mut State, index: usize, record: Option<&mut Record>) {
        Step {
            world: self.world,
            function: self.function,
            flow: self.flow,
            state,
            instruction: &self.flow.instructions[index],
            index,
            record,
        }
        .run();
    }

    fn is_call(&self, index: usize) -> bool {
        let operation = self.flow.instructions[index].operation;
        matches!(operation, Operation::Call { .. } | Operation::CallRegister { .. })
    }

    fn refined(mut state: State, when: Option<(Option<Condition>, bool)>) -> State {
        if let Some((Some(condition), holds)) = when {
            compare::refine(&mut state, condition.outcome(holds));
        }
        state
    }

    fn refuse(&self, record: &mut Record, index: usize, reason: &str) {
        self.flow.instructions[index].refuse(record, self.function, reason);
    }
}
