//! The control flow of a function: its instructions, blocks, edges and jump tables.
//!
//! Instructions are decoded along the edges, from the function's start. The jump tables found here
//! are proposals: `solve.rs` proves that a jump takes its target from its table.

use std::{collections::BTreeMap, ops::Range};

use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

/// Instructions before a jump among which those that form its target are looked for.
const LOOK_BACK: usize = 16;

/// Why the control flow cannot be followed.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) at: u32,
    pub(super) reason: &'static str,
}

/// A way out of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// The block that it leads to.
    pub(super) to: usize,
    /// For a conditional branch: its condition, and whether it holds on this way.
    pub(super) when: Option<(ConditionCode, bool)>,
}

/// A basic block.
#[derive(Debug)]
pub(super) struct Block {
    /// Indices of its instructions.
    pub(super) instructions: Range<usize>,
    pub(super) edges: Vec<Edge>,
}

/// A jump table.
#[derive(Clone, Debug)]
pub(super) struct JumpTable {
    pub(super) at: u32,
    pub(super) targets: Vec<u32>,
}

/// The control flow of a function.
pub(crate) struct Flow {
    /// In the order of their addresses.
    pub(super) instructions: Vec<Instruction>,
    /// In the order of their addresses; the first is the function's entry.
    pub(super) blocks: Vec<Block>,
    /// Blocks that the runtime's unwinder jumps to.
    pub(super) handlers: Vec<usize>,
    /// By the address of the jump.
    pub(super) tables: BTreeMap<u32, JumpTable>,
    /// Jump tables and constants between and behind the instructions.
    pub(super) data: Vec<Range<u32>>,
}

/// Follows a function.
///
/// `has_handlers`: an address of code that the function forms is where it handles a trap.
pub(super) fn follow(
    text: &[u8],
    function: Range<u32>,
    has_handlers: bool,
) -> Result<Flow, Broken> {
    let mut search = Search {
        text,
        decoder: Decoder::with_ip(64, &text[..function.end as usize], 0, DecoderOptions::NONE),
        seen: vec![false; (function.end - function.start) as usize],
        leaders: vec![function.start],
        open: vec![function.start],
        found: Vec::new(),
        tables: BTreeMap::new(),
        data: Vec::new(),
        handlers: Vec::new(),
        has_handlers,
        function,
    };
    while let Some(at) = search.open.pop() {
        search.run(at)?;
    }
    search.finish()
}

struct Search<'a> {
    text: &'a [u8],
    decoder: Decoder<'a>,
    function: Range<u32>,
    has_handlers: bool,
    /// For each byte of the function: whether an instruction that was decoded begins there.
    seen: Vec<bool>,
    leaders: Vec<u32>,
    open: Vec<u32>,
    found: Vec<Instruction>,
    tables: BTreeMap<u32, JumpTable>,
    data: Vec<Range<u32>>,
    handlers: Vec<u32>,
}

impl Search<'_> {
    /// Decodes from an address to the next instruction that does not continue, or is known.
    fn run(&mut self, mut at: u32) -> Result<(), Broken> {
        let begin = self.found.len();
        loop {
            let place = at.wrapping_sub(self.function.start) as usize;
            if self
                .seen
                .get(place)
                .copied()
                .ok_or(Broken { at, reason: "control flow leaves the function" })?
            {
                return Ok(());
            }
            self.decoder
                .set_position(at as usize)
                .map_err(|_| Broken { at, reason: "control flow leaves the function" })?;
            self.decoder.set_ip(u64::from(at));
            let instruction = self.decoder.decode();
            if instruction.is_invalid() {
                return Err(Broken { at, reason: "it is no instruction" });
            }
            self.seen[place] = true;
            self.found.push(instruction);
            at += instruction.len() as u32;
            self.note_data(&instruction)?;
            match instruction.flow_control() {
                FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {}
                FlowControl::ConditionalBranch => {
                    self.branch(&instruction)?;
                    self.leaders.push(at);
                }
                FlowControl::UnconditionalBranch => return self.branch(&instruction),
                FlowControl::IndirectBranch => return self.jump_table(&instruction, begin),
                FlowControl::Return | FlowControl::Exception => return Ok(()),
                _ => {
                    return Err(Broken {
                        at: instruction.ip32(),
                        reason: "it is a forbidden instruction",
                    });
                }
            }
        }
    }

    fn branch(&mut self, instruction: &Instruction) -> Result<(), Broken> {
        let target = instruction.near_branch_target();
        let target = u32::try_from(target)
            .ok()
            .filter(|target| self.function.contains(target))
            .ok_or(Broken { at: instruction.ip32(), reason: "it jumps out of its function" })?;
        self.leaders.push(target);
        self.open.push(target);
        Ok(())
    }

    /// Notes what an instruction addresses relative to itself: a constant, or where traps go.
    fn note_data(&mut self, instruction: &Instruction) -> Result<(), Broken> {
        if instruction.memory_base() != Register::RIP {
            return Ok(());
        }
        let at = instruction.ip32();
        let address = u32::try_from(instruction.ip_rel_memory_address()).unwrap_or(u32::MAX);
        if !self.function.contains(&address) {
            return Err(Broken { at, reason: "it addresses code outside of its function" });
        }
        if instruction.mnemonic() != Mnemonic::Lea {
            let end = address + instruction.memory_size().size() as u32;
            if end > self.function.end {
                return Err(Broken { at, reason: "it addresses code outside of its function" });
            }
            self.data.push(address..end);
        } else if self.has_handlers {
            self.handlers.push(address);
            self.leaders.push(address);
            self.open.push(address);
        }
        Ok(())
    }

    /// Recognises the table of an indirect jump: `lea table`, and `cmovb` of its length less one.
    fn jump_table(&mut self, jump: &Instruction, begin: usize) -> Result<(), Broken> {
        let unknown = || Broken { at: jump.ip32(), reason: "it jumps without a jump table" };
        let first = begin.max(self.found.len().saturating_sub(LOOK_BACK));
        let mut at = None;
        let mut bound = None;
        let mut length = None;
        for before in self.found[first..].iter().rev() {
            match before.mnemonic() {
                Mnemonic::Lea if before.memory_base() == Register::RIP && at.is_none() => {
                    at = Some(before.ip_rel_memory_address() as u32);
                }
                Mnemonic::Cmovb if bound.is_none() => bound = Some(before.op0_register()),
                Mnemonic::Mov
                    if bound == Some(before.op0_register())
                        && before.op1_kind() == OpKind::Immediate32 =>
                {
                    length = Some(before.immediate32().saturating_add(1));
                    break;
                }
                _ => {}
            }
        }
        let (at, length) = at.zip(length).ok_or_else(unknown)?;
        let end = length.checked_mul(4).and_then(|bytes| at.checked_add(bytes));
        let end = end.filter(|end| *end <= self.function.end).ok_or_else(unknown)?;
        let mut targets = Vec::with_capacity(length as usize);
        for entry in self.text[at as usize..end as usize].chunks_exact(4) {
            let offset = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let target =
                at.checked_add_signed(offset).filter(|target| self.function.contains(target));
            targets.push(target.ok_or(Broken {
                at: jump.ip32(),
                reason: "its jump table leads out of the function",
            })?);
        }
        self.data.push(at..end);
        self.leaders.extend(&targets);
        self.open.extend(&targets);
        self.tables.insert(jump.ip32(), JumpTable { at, targets });
        Ok(())
    }

    /// Checks that nothing overlaps, and forms blocks.
    fn finish(mut self) -> Result<Flow, Broken> {
        self.found.sort_unstable_by_key(Instruction::ip);
        for pair in self.found.windows(2) {
            if pair[0].next_ip() > pair[1].ip() {
                return Err(Broken {
                    at: pair[1].ip32(),
                    reason: "control flow leads into the middle of an instruction",
                });
            }
        }
        let instructions = self.found;
        for data in &self.data {
            let first = instructions
                .partition_point(|instruction| instruction.next_ip() <= u64::from(data.start));
            if instructions
                .get(first)
                .is_some_and(|instruction| instruction.ip() < u64::from(data.end))
            {
                return Err(Broken { at: data.start, reason: "data and instructions overlap" });
            }
        }
        self.leaders.sort_unstable();
        self.leaders.dedup();
        let blocks = blocks(&instructions, &self.leaders, &self.tables);
        let block_at = |at: &u32| self.leaders.binary_search(at).ok();
        let handlers = self.handlers.iter().filter_map(block_at).collect();
        Ok(Flow { instructions, blocks, handlers, tables: self.tables, data: self.data })
    }
}

/// Divides instructions into blocks, one for each leader. Each leader begins an instruction.
fn blocks(
    instructions: &[Instruction],
    leaders: &[u32],
    tables: &BTreeMap<u32, JumpTable>,
) -> Vec<Block> {
    let block_at = |at: u64| u32::try_from(at).ok().and_then(|at| leaders.binary_search(&at).ok());
    let mut blocks = Vec::with_capacity(leaders.len());
    for leader in leaders {
        let first =
            instructions.partition_point(|instruction| instruction.ip() < u64::from(*leader));
        let mut end = first;
        let mut edges = Vec::new();
        while let Some(instruction) = instructions.get(end) {
            end += 1;
            let edge = |at: u64, when| block_at(at).map(|to| Edge { to, when });
            let condition = instruction.condition_code();
            match instruction.flow_control() {
                FlowControl::ConditionalBranch => {
                    edges.extend(edge(instruction.near_branch_target(), Some((condition, true))));
                    edges.extend(edge(instruction.next_ip(), Some((condition, false))));
                    break;
                }
                FlowControl::UnconditionalBranch => {
                    edges.extend(edge(instruction.near_branch_target(), None));
                    break;
                }
                FlowControl::IndirectBranch => {
                    let targets =
                        tables.get(&instruction.ip32()).map_or(&[][..], |table| &table.targets);
                    edges
                        .extend(targets.iter().filter_map(|target| edge(u64::from(*target), None)));
                    break;
                }
                FlowControl::Return | FlowControl::Exception => break,
                _ => {
                    if let Some(next) = edge(instruction.next_ip(), None) {
                        edges.push(next);
                        break;
                    }
                }
            }
        }
        edges.sort_unstable_by_key(|edge| edge.to);
        edges.dedup_by_key(|edge| (edge.to, edge.when.map(|(_, holds)| holds)));
        blocks.push(Block { instructions: first..end, edges });
    }
    blocks
}
