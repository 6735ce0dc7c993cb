//! Calls, returns and jumps by a table.

use super::{
    Instruction,
    instruction::SP,
    registers::{CALLER, CONTEXT, COUNT, FUEL, HOST_CONTEXT, LINK, RESULT, preserved},
    step::Step,
};
use crate::{
    analysis::{
        calls,
        compare::Flags,
        stack,
        value::{Id, Kind, Value},
        world::Code as _,
    },
    image::{Builtin, Role},
};

impl Step<'_> {
    /// Checks a call of an address or by a register, and forgets what the callee may change.
    pub(super) fn call(&mut self, to: Option<u64>, by: Option<usize>) {
        let Kind::Stack(top) = self.state.registers[SP].kind else {
            return self.refuse("the stack pointer is unknown");
        };
        let (pops, result, preserves_all) = match (to, by) {
            (Some(to), _) => self.call_direct(to),
            (_, register) => {
                let callee = register.map_or(Kind::Any, |n| self.state.registers[n].kind);
                self.call_indirect(callee, top)
            }
        };
        let behind = top.saturating_add(i32::from(pops));
        self.state.forget_slots(i32::MIN..behind);
        if behind > 0 {
            self.refuse("its arguments on the stack reach out of the frame");
        }
        self.state.registers[SP].kind = Kind::Stack(behind);
        let is_kept = |register| {
            register == SP
                || preserved().any(|kept| kept == register)
                || (preserves_all && register < LINK && register != FUEL)
        };
        for register in (0..COUNT).filter(|register| !is_kept(*register)) {
            let kind = if register == FUEL { Kind::Fuel } else { Kind::Any };
            self.state.registers[register] = Value::new(Id::made(self.index, register), kind);
        }
        self.state.forget_other_fuel(Id::made(self.index, FUEL));
        if result != Kind::Any {
            self.state.registers[RESULT].kind = result;
        }
        self.state.flags = Flags::Unknown;
    }

    /// A call of a function of the image: what it takes off the stack, what it returns, and whether
    /// it preserves all registers.
    fn call_direct(&mut self, to: u64) -> (u16, Kind, bool) {
        let callee = u32::try_from(to).ok().and_then(|at| self.world.image.function_at(at));
        let Some(callee) = callee else {
            self.refuse("it calls into the middle of a function");
            return (0, Kind::Any, false);
        };
        let pops = self.world.pops[callee];
        let role = self.world.image.functions[callee].role;
        let context = match role {
            Role::Builtin(Builtin::OutOfFuel) => HOST_CONTEXT,
            _ => CONTEXT,
        };
        self.note(calls::direct(self.role(), role, self.state.registers[context].kind));
        if role == Role::Wasm {
            self.require(stack::limit_recursion(self.state, self.role()));
        }
        if self.role() == Role::Entry && self.state.registers[FUEL].kind != Kind::Fuel {
            self.refuse("the register of fuel does not hold it");
        }
        match role {
            Role::Builtin(Builtin::Copy) => self.check_copy(&[CALLER, CALLER + 1]),
            Role::Builtin(Builtin::Fill) => self.check_copy(&[CALLER]),
            Role::Builtin(Builtin::FunctionOfTable) => return (pops, Kind::FuncRef(None), false),
            Role::Builtin(Builtin::OutOfFuel) => return (pops, Kind::Any, true),
            _ => {}
        }
        (pops, Kind::Any, false)
    }

    /// The host copies or fills as many bytes as the last argument says.
    fn check_copy(&mut self, pointers: &[usize]) {
        let length = self.state.registers[CALLER + 2];
        for pointer in pointers {
            let checked = calls::copy(self.state, self.state.registers[*pointer], length);
            self.note(checked);
        }
    }

    /// A call through a pointer.
    fn call_indirect(&mut self, callee: Kind, top: i32) -> (u16, Kind, bool) {
        let registers = &self.state.registers;
        let (context, caller) = (registers[CONTEXT].kind, registers[CALLER].kind);
        let checked = calls::indirect(callee, self.role(), context, caller);
        self.note(checked);
        let pops = Instruction::popped_by_callee(&self.flow.instructions, self.index);
        match callee {
            _ if checked.is_err() => {}
            Kind::Code(_, Some(signature)) => {
                self.require(stack::limit_recursion(self.state, self.role()));
                if let Some(record) = &mut self.record {
                    record.signature_pops.insert((signature, pops));
                }
            }
            // The host keeps to the procedure call standard, which leaves arguments on the stack.
            Kind::HostFunction => {
                if self.role() == Role::Exit {
                    let [array, count] = [2, 3].map(|register| self.state.registers[register]);
                    let kept = stack::forget_values(self.state, top, array, count);
                    self.require(kept);
                }
                return (0, Kind::Any, false);
            }
            _ => {}
        }
        (pops, Kind::Any, false)
    }

    /// Checks that a function leaves everything as its caller expects.
    pub(super) fn ret(&mut self) {
        if self.state.registers[SP].kind != Kind::Stack(self.pops()) {
            return self.refuse("it returns with another stack pointer than its caller expects");
        }
        let registers = &self.state.registers;
        let is_kept = |register: usize| registers[register].id == Id::entry(register);
        if !is_kept(LINK) {
            return self.refuse("it returns to another address than its caller's");
        }
        let others = match self.role() {
            Role::Entry => FUEL..FUEL + 1,
            // All but x18, which no code uses.
            Role::Builtin(Builtin::OutOfFuel) => 0..18,
            _ => 0..0,
        };
        if preserved().chain(others).all(is_kept) {
            self.count("calls: returns that preserve registers and stack");
        } else {
            self.refuse("it returns without the registers that it must preserve");
        }
    }

    /// Checks that a jump goes to a target of the jump table that was found for it.
    pub(super) fn jump(&mut self, n: usize) {
        let table = self.flow.tables.get(&self.instruction.at);
        match (self.state.registers[n].kind, table) {
            (Kind::Target(at, last), Some(table))
                if table.at == at && last < table.targets.len() as u64 =>
            {
                self.count("code: jump tables");
            }
            _ => self.refuse("the target of the jump is not proved to be in its jump table"),
        }
    }
}
