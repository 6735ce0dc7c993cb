//! The control flow of a function: its instructions, blocks, edges and jump tables.
//!
//! Instructions are decoded along the edges, from the function's start. The jump tables found here
//! are proposals: the rules prove that a jump takes its target from its table.

use std::{collections::BTreeMap, ops::Range};

/// Why the control flow cannot be followed.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) at: u32,
    pub(crate) reason: &'static str,
}

/// Where an instruction leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way<C> {
    /// To the next one. Calls do so too.
    Next,
    /// To an address if a condition holds, or to the next one.
    Branch(u64, C),
    Jump(u64),
    /// To an address of a jump table.
    Table,
    /// Out of the function: a return, or a trap.
    Ends,
    Forbidden,
}

/// What an instruction addresses relative to itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reference {
    /// It reads as many bytes at an address.
    Read(u64, u32),
    /// It forms an address.
    Address(u64),
}

/// An instruction, as far as the control flow depends on it.
pub(crate) trait Instruction: Sized {
    /// What a conditional branch depends on.
    type Condition: Copy + Send + Sync;

    /// Its address in the code, and that of the next instruction.
    fn at(&self) -> u32;
    fn end(&self) -> u32;
    fn way(&self) -> Way<Self::Condition>;
    fn reference(&self) -> Option<Reference>;
    /// The address and the length of the table that an indirect jump uses, by the instructions up to
    /// it.
    fn jump_table(until: &[Self]) -> Option<(u32, u32)>;
}

/// A way out of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge<C> {
    /// The block that it leads to.
    pub(crate) to: usize,
    /// For a conditional branch: its condition, and whether it holds on this way.
    pub(crate) when: Option<(C, bool)>,
}

/// A basic block.
#[derive(Debug)]
pub(crate) struct Block<C> {
    /// Indices of its instructions.
    pub(crate) instructions: Range<usize>,
    pub(crate) edges: Vec<Edge<C>>,
}

/// A jump table.
#[derive(Clone, Debug)]
pub(crate) struct JumpTable {
    pub(crate) at: u32,
    pub(crate) targets: Vec<u32>,
}

/// The control flow of a function.
pub(crate) struct Flow<I: Instruction> {
    /// In the order of their addresses.
    pub(crate) instructions: Vec<I>,
    /// In the order of their addresses; the first is the function's entry.
    pub(crate) blocks: Vec<Block<I::Condition>>,
    /// Blocks that the runtime's unwinder jumps to.
    pub(crate) handlers: Vec<usize>,
    /// By the address of the jump.
    pub(crate) tables: BTreeMap<u32, JumpTable>,
    /// Jump tables and constants between and behind the instructions.
    pub(crate) data: Vec<Range<u32>>,
}

impl<I: Instruction> Flow<I> {
    /// Whether an instruction begins at an address.
    pub(crate) fn begins_instruction(&self, at: u32) -> bool {
        self.instructions.binary_search_by_key(&at, Instruction::at).is_ok()
    }

    /// Whether the unwinder may jump to an address: it is examined as such.
    pub(crate) fn is_handler(&self, at: u32) -> bool {
        let begins = |block: &usize| {
            let first = self.blocks[*block].instructions.start;
            self.instructions.get(first).is_some_and(|instruction| instruction.at() == at)
        };
        self.handlers.iter().any(begins)
    }

    /// Whether a jump table has entries up to this index.
    pub(crate) fn has_entry(&self, at: u32, last: u64) -> bool {
        self.tables.values().any(|table| table.at == at && last < table.targets.len() as u64)
    }
}

/// Follows a function.
///
/// `has_handlers`: an address of code that the function forms is where it handles a trap.
/// `decode` yields the instruction at an address, unless there is none.
pub(crate) fn follow<I: Instruction>(
    text: &[u8],
    function: Range<u32>,
    has_handlers: bool,
    decode: impl FnMut(u32) -> Option<I>,
) -> Result<Flow<I>, Broken> {
    let mut search = Search {
        text,
        decode,
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

struct Search<'a, I, D> {
    text: &'a [u8],
    decode: D,
    function: Range<u32>,
    has_handlers: bool,
    /// For each byte of the function: whether an instruction that was decoded begins there.
    seen: Vec<bool>,
    leaders: Vec<u32>,
    open: Vec<u32>,
    found: Vec<I>,
    tables: BTreeMap<u32, JumpTable>,
    data: Vec<Range<u32>>,
    handlers: Vec<u32>,
}

impl<I: Instruction, D: FnMut(u32) -> Option<I>> Search<'_, I, D> {
    /// Decodes from an address to the next instruction that does not continue, or is known.
    fn run(&mut self, mut at: u32) -> Result<(), Broken> {
        let begin = self.found.len();
        loop {
            let place = at.wrapping_sub(self.function.start) as usize;
            let seen = self
                .seen
                .get_mut(place)
                .ok_or(Broken { at, reason: "control flow leaves the function" })?;
            if std::mem::replace(seen, true) {
                return Ok(());
            }
            let instruction =
                (self.decode)(at).ok_or(Broken { at, reason: "it is no instruction" })?;
            let here = at;
            at = instruction.end();
            self.note_data(&instruction)?;
            let way = instruction.way();
            self.found.push(instruction);
            match way {
                Way::Next => {}
                Way::Branch(to, _) => {
                    self.branch(here, to)?;
                    self.leaders.push(at);
                }
                Way::Jump(to) => return self.branch(here, to),
                Way::Table => return self.jump_table(here, begin),
                Way::Ends => return Ok(()),
                Way::Forbidden => {
                    return Err(Broken { at: here, reason: "it is a forbidden instruction" });
                }
            }
        }
    }

    fn branch(&mut self, at: u32, to: u64) -> Result<(), Broken> {
        let target = u32::try_from(to)
            .ok()
            .filter(|target| self.function.contains(target))
            .ok_or(Broken { at, reason: "it jumps out of its function" })?;
        self.leaders.push(target);
        self.open.push(target);
        Ok(())
    }

    /// Notes what an instruction addresses relative to itself: a constant, or where traps go.
    fn note_data(&mut self, instruction: &I) -> Result<(), Broken> {
        let (address, size) = match instruction.reference() {
            None => return Ok(()),
            Some(Reference::Read(address, size)) => (address, Some(size)),
            Some(Reference::Address(address)) => (address, None),
        };
        let outside =
            Broken { at: instruction.at(), reason: "it addresses code outside of its function" };
        let address = u32::try_from(address).unwrap_or(u32::MAX);
        if !self.function.contains(&address) {
            return Err(outside);
        }
        if let Some(size) = size {
            let end = address.checked_add(size).filter(|end| *end <= self.function.end);
            self.data.push(address..end.ok_or(outside)?);
        } else if self.has_handlers {
            self.handlers.push(address);
            self.leaders.push(address);
            self.open.push(address);
        }
        Ok(())
    }

    /// Reads the table of an indirect jump.
    fn jump_table(&mut self, jump: u32, begin: usize) -> Result<(), Broken> {
        let unknown = || Broken { at: jump, reason: "it jumps without a jump table" };
        let (at, length) = I::jump_table(&self.found[begin..]).ok_or_else(unknown)?;
        let end = length.checked_mul(4).and_then(|bytes| at.checked_add(bytes));
        let end = end.filter(|end| *end <= self.function.end).ok_or_else(unknown)?;
        let mut targets = Vec::with_capacity(length as usize);
        for entry in self.text[at as usize..end as usize].chunks_exact(4) {
            let offset = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let target =
                at.checked_add_signed(offset).filter(|target| self.function.contains(target));
            targets.push(
                target.ok_or(Broken {
                    at: jump,
                    reason: "its jump table leads out of the function",
                })?,
            );
        }
        self.data.push(at..end);
        self.leaders.extend(&targets);
        self.open.extend(&targets);
        self.tables.insert(jump, JumpTable { at, targets });
        Ok(())
    }

    /// Checks that nothing overlaps, and forms blocks.
    fn finish(mut self) -> Result<Flow<I>, Broken> {
        self.found.sort_unstable_by_key(Instruction::at);
        for pair in self.found.windows(2) {
            if pair[0].end() > pair[1].at() {
                return Err(Broken {
                    at: pair[1].at(),
                    reason: "control flow leads into the middle of an instruction",
                });
            }
        }
        let instructions = self.found;
        for data in &self.data {
            let first = instructions.partition_point(|instruction| instruction.end() <= data.start);
            if instructions.get(first).is_some_and(|instruction| instruction.at() < data.end) {
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
fn blocks<I: Instruction>(
    instructions: &[I],
    leaders: &[u32],
    tables: &BTreeMap<u32, JumpTable>,
) -> Vec<Block<I::Condition>> {
    let block_at = |at: u64| u32::try_from(at).ok().and_then(|at| leaders.binary_search(&at).ok());
    let mut blocks = Vec::with_capacity(leaders.len());
    for leader in leaders {
        let first = instructions.partition_point(|instruction| instruction.at() < *leader);
        let mut end = first;
        let mut edges = Vec::new();
        while let Some(instruction) = instructions.get(end) {
            end += 1;
            let edge = |at: u64, when| block_at(at).map(|to| Edge { to, when });
            let next = u64::from(instruction.end());
            match instruction.way() {
                Way::Branch(to, condition) => {
                    edges.extend(edge(to, Some((condition, true))));
                    edges.extend(edge(next, Some((condition, false))));
                    break;
                }
                Way::Jump(to) => {
                    edges.extend(edge(to, None));
                    break;
                }
                Way::Table => {
                    let targets =
                        tables.get(&instruction.at()).map_or(&[][..], |table| &table.targets);
                    edges
                        .extend(targets.iter().filter_map(|target| edge(u64::from(*target), None)));
                    break;
                }
                Way::Ends | Way::Forbidden => break,
                Way::Next => {
                    if let Some(next) = edge(next, None) {
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
