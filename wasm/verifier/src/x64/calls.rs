//! Calls, returns and indirect jumps.

use super::{
    Instruction,
    registers::{BASE, COUNT, FUEL, Host, R12, R13, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP},
    step::Step,
};
use crate::{
    analysis::{
        calls,
        place::Place,
        stack,
        value::{Id, Kind, Sum, Value},
        world::Code as _,
    },
    image::{Builtin, Role},
};

/// Registers that a function of the module preserves: the System V ABI's, without the two that are
/// reserved.
const PRESERVED: &[usize] = &[RBX, RBP, R12, R13];

impl Step<'_> {
    /// Checks a call, and forgets what the callee may change.
    pub(super) fn call(&mut self, place: Option<Place>) {
        let Kind::Stack(top) = self.state.registers[RSP].kind else {
            return self.refuse("the stack pointer is unknown");
        };
        let is_direct = self.instruction.is_call_near();
        let is_host = !is_direct && self.operand(0, place).kind == Kind::HostFunction;
        let host = self.host();
        let (pops, result, preserves_all) = if is_direct {
            self.call_direct()
        } else {
            self.call_indirect(place, top);
            (Instruction::popped_by_callee(&self.flow.instructions, self.index), Kind::Any, false)
        };
        let written = if is_host { host.shadow } else { i32::from(pops) };
        self.state.forget_slots(i32::MIN..top.saturating_add(written));
        if written > -top {
            self.refuse("its arguments on the stack reach out of the frame");
        }
        self.state.registers[RSP].kind = Kind::Stack(top.saturating_add(i32::from(pops)));
        for register in 0..COUNT {
            let is_kept = (preserves_all && register < 16)
                || PRESERVED.contains(&register)
                || (is_host && host.preserves(register))
                || register == BASE
                || register == RSP;
            if register == FUEL {
                self.state.registers[FUEL] = Value::new(Id::made(self.index, FUEL), Kind::Fuel);
            } else if !is_kept {
                self.state.registers[register] =
                    Value::new(Id::made(self.index, register), Kind::Any);
            }
        }
        self.state.forget_other_fuel(Id::made(self.index, FUEL));
        if result != Kind::Any {
            self.state.registers[RAX].kind = result;
        }
    }

    fn host(&self) -> Host {
        Host::new(self.world.image.convention)
    }

    /// A call of a function of the image: what it takes off the stack, what it returns, and whether
    /// it preserves all registers.
    fn call_direct(&mut self) -> (u16, Kind, bool) {
        let target = self.instruction.near_branch_target();
        let callee = u32::try_from(target).ok().and_then(|at| self.world.image.function_at(at));
        let Some(callee) = callee else {
            self.refuse("it calls into the middle of a function");
            return (0, Kind::Any, false);
        };
        let pops = self.world.pops[callee];
        let role = self.world.image.functions[callee].role;
        self.note(calls::direct(self.role(), role, self.state.registers[RDI].kind));
        if role == Role::Wasm {
            self.require(stack::limit_recursion(self.state, self.role()));
        }
        self.check_entry();
        match role {
            Role::Builtin(Builtin::Copy) => self.check_copy(&[RSI, RDX]),
            Role::Builtin(Builtin::Fill) => self.check_copy(&[RSI]),
            Role::Builtin(Builtin::FunctionOfTable) => return (pops, Kind::FuncRef(None), false),
            Role::Builtin(Builtin::OutOfFuel) => return (pops, Kind::Any, true),
            _ => {}
        }
        (pops, Kind::Any, false)
    }

    /// The callee needs the base of memory and fuel in their registers.
    fn check_entry(&mut self) {
        if self.role() != Role::Entry {
            return;
        }
        if self.state.registers[BASE].kind != Kind::Memory(Sum::default()) {
            self.refuse("the register of the base of memory does not hold it");
        }
        if self.state.registers[FUEL].kind != Kind::Fuel {
            self.refuse("the register of fuel does not hold it");
        }
    }

    /// The host copies or fills as many bytes as `rcx` says.
    fn check_copy(&mut self, pointers: &[usize]) {
        let length = self.state.registers[RCX];
        for pointer in pointers {
            let checked = calls::copy(self.state, self.state.registers[*pointer], length);
            self.note(checked);
        }
    }

    /// A call through a pointer.
    fn call_indirect(&mut self, place: Option<Place>, top: i32) {
        let callee = self.operand(0, place).kind;
        let (context, caller) = (self.state.registers[RDI].kind, self.state.registers[RSI].kind);
        let checked = calls::indirect(callee, self.role(), context, caller);
        self.note(checked);
        match callee {
            _ if checked.is_err() => {}
            Kind::Code(_, Some(signature)) => {
                self.require(stack::limit_recursion(self.state, self.role()));
                let pops = Instruction::popped_by_callee(&self.flow.instructions, self.index);
                if let Some(record) = &mut self.record {
                    record.signature_pops.insert((signature, pops));
                }
            }
            Kind::HostFunction if self.role() == Role::Exit => {
                let [_, _, array, count] =
                    self.host().arguments.map(|register| self.state.registers[register]);
                let kept = stack::forget_values(self.state, top, array, count);
                self.require(kept);
            }
            _ => {}
        }
    }

    /// Checks that a function leaves everything as its caller expects.
    pub(super) fn ret(&mut self) {
        if self.state.registers[RSP].kind != Kind::Stack(0) {
            return self.refuse("it returns with another stack pointer than it was called with");
        }
        let host = self.host();
        let is_expected = |register: usize| match self.role() {
            Role::Entry => host.preserves(register),
            Role::Builtin(Builtin::OutOfFuel) => register < 16 && ![RSP, FUEL].contains(&register),
            _ => PRESERVED.contains(&register) || register == BASE,
        };
        let is_changed =
            |register: &usize| self.state.registers[*register].id != Id::entry(*register);
        if (0..COUNT)
            .filter(|register| is_expected(*register))
            .any(|register| is_changed(&register))
        {
            self.refuse("it returns without the registers that it must preserve");
        } else {
            self.count("calls: returns that preserve registers and stack");
        }
    }

    /// Checks that an indirect jump goes to a target of the jump table that was found for it.
    pub(super) fn jump(&mut self, place: Option<Place>) {
        let table = self.flow.tables.get(&self.instruction.ip32());
        match (self.operand(0, place).kind, table) {
            (Kind::Target(at, last), Some(table))
                if table.at == at && last < table.targets.len() as u64 =>
            {
                self.count("code: jump tables");
            }
            _ => self.refuse("the target of the jump is not proved to be in its jump table"),
        }
    }
}
