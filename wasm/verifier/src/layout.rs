//! The runtime's structures that compiled code reads: the part that the verifier trusts.
//!
//! wasmtime lays them out for each module. This file states the layout of wasmtime 48 in its own
//! words (`wasmtime-environ`, src/vmoffsets.rs and src/vm_types.rs). Code that uses another offset
//! is refused, so an update of wasmtime that moves a field fails here and is then looked at.

/// Bytes of address space from the base of memory that belong to it alone: wasmtime's defaults of
/// [`memory_reservation`](https://docs.wasmtime.dev/api/wasmtime/struct.Config.html#method.memory_reservation)
/// and `memory_guard_size`, which src/sandbox/codegen.rs does not change.
pub(crate) const RESERVED: u64 = (4 << 30) + (32 << 20);

/// Fields at the start of the `VMContext`.
pub(crate) const STORE: i64 = 8;
pub(crate) const BUILTINS: i64 = 16;
pub(crate) const TYPE_IDS: i64 = 40;
/// The definition of memory 0, which follows one pointer to it.
pub(crate) const MEMORY_BASE: i64 = 56;
pub(crate) const MEMORY_LENGTH: i64 = 64;
/// The first imported function.
const IMPORTS: i64 = 72;
/// Size of an imported function, and its fields that compiled code reads.
const IMPORT: i64 = 32;
const IMPORT_CODE: i64 = 8;
const IMPORT_CONTEXT: i64 = 24;
/// Size of a global, and the number that the module has. The runtime's tables of functions follow.
const GLOBAL: i64 = 16;
const GLOBALS: i64 = 2;

/// Fields of the `VMStoreContext`.
pub(crate) const STORE_FUEL: i64 = 0;
pub(crate) const STORE_STACK_LIMIT: i64 = 24;
/// What trampolines write there: fuel, the last exit from wasm and the last entry into it.
pub(crate) const STORE_WRITTEN: &[i64] =
    &[STORE_FUEL, 48, 56, STORE_STACK_POINTER, STORE_FRAME_POINTER, STORE_HANDLER];
/// Where the runtime's unwinder takes the stack pointer, the frame pointer and the address from.
pub(crate) const STORE_STACK_POINTER: i64 = 64;
pub(crate) const STORE_FRAME_POINTER: i64 = 72;
pub(crate) const STORE_HANDLER: i64 = 80;

/// Fields of a `VMFuncRef`.
pub(crate) const REF_CODE: i64 = 8;
pub(crate) const REF_SIGNATURE: i64 = 16;
pub(crate) const REF_CONTEXT: i64 = 24;

/// The host function in the context of a trampoline to the host.
pub(crate) const HOST_FUNCTION: i64 = 8;
/// Bytes of a value in the array of arguments and results.
pub(crate) const VALUE: i64 = 16;

/// Where the variable parts of a module's `VMContext` are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    imports: i64,
}

/// What is at an offset of the `VMContext`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    Store,
    Builtins,
    TypeIds,
    MemoryBase,
    MemoryLength,
    ImportCode(u32),
    ImportContext(u32),
    TableBase,
    /// A global, or data behind the globals: a number, never a pointer that code follows.
    Data,
    Unknown,
}

impl Layout {
    /// The layout of a module that imports `imports` functions, and has one memory and one table.
    pub(crate) fn new(imports: u32) -> Self {
        Self { imports: i64::from(imports) }
    }

    fn table(self) -> i64 {
        IMPORTS + IMPORT * self.imports
    }

    /// The first global.
    pub(crate) fn globals(self) -> i64 {
        (self.table() + 16 + GLOBAL - 1) / GLOBAL * GLOBAL
    }

    /// The number of imported functions.
    pub(crate) fn imports(self) -> u64 {
        self.imports.unsigned_abs()
    }

    /// The number of globals.
    pub(crate) fn globals_count(self) -> u64 {
        GLOBALS.unsigned_abs()
    }

    /// Whether a global begins at an offset.
    pub(crate) fn is_global(self, offset: i64) -> bool {
        let index = offset - self.globals();
        index % GLOBAL == 0 && (0..GLOBAL * GLOBALS).contains(&index)
    }

    /// What code finds at an offset.
    pub(crate) fn field(self, offset: i64) -> Field {
        match offset {
            STORE => Field::Store,
            BUILTINS => Field::Builtins,
            TYPE_IDS => Field::TypeIds,
            MEMORY_BASE => Field::MemoryBase,
            MEMORY_LENGTH => Field::MemoryLength,
            _ if offset >= self.globals() => Field::Data,
            _ if offset == self.table() => Field::TableBase,
            _ if (IMPORTS..self.table()).contains(&offset) => {
                let index = u32::try_from((offset - IMPORTS) / IMPORT).unwrap_or(u32::MAX);
                match (offset - IMPORTS) % IMPORT {
                    IMPORT_CODE => Field::ImportCode(index),
                    IMPORT_CONTEXT => Field::ImportContext(index),
                    _ => Field::Unknown,
                }
            }
            _ => Field::Unknown,
        }
    }
}
