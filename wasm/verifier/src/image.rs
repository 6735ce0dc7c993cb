//! The image as the verifier sees it: code, and functions with the role that each has.

use crate::{elf, error::Error, layout::Layout, module::Module};

/// `e_machine` of x86-64 and of aarch64.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// The architecture of the code. Each has a module of this crate with its rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
}

/// How functions of the host are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Convention {
    /// The usual one of Linux and macOS.
    Unix,
    Windows,
}

/// What a function is for. The role says what it may rely on, and what it must keep to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// A function of the module, or its start-up.
    Wasm,
    /// Enters the module: called by the host with an array of values.
    Entry,
    /// Leaves the module for an imported function.
    Exit,
    /// Leaves the module for a function of the runtime.
    Builtin(Builtin),
}

/// Functions of the runtime that need rules of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Builtin {
    /// Copies in linear memory, which the caller has checked.
    Copy,
    /// Fills linear memory, which the caller has checked.
    Fill,
    /// Returns the function in an element of a table.
    FunctionOfTable,
    /// Asks for fuel, and preserves all registers.
    OutOfFuel,
    Other,
}

/// A function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Offsets in the code: its instructions, jump tables and constants.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Function {
    /// The index of its signature: of functions of the module by the module, of trampolines to the
    /// host by their names.
    pub(crate) fn signature(&self, imports: u64, module: Option<&Module>) -> Option<u32> {
        if let Some(number) = between(&self.name, "signatures[", "]::wasm_to_array_trampoline") {
            return Some(number);
        }
        let number = between(&self.name, "wasm[0]::function[", "]")?;
        let defined = usize::try_from(u64::from(number).checked_sub(imports)?).ok()?;
        u32::try_from(*module?.functions.get(defined)?).ok()
    }
}

/// The number in a name.
fn between(name: &str, before: &str, behind: &str) -> Option<u32> {
    name.strip_prefix(before)?.strip_suffix(behind)?.parse().ok()
}

/// An image.
pub(crate) struct Image<'a> {
    pub(crate) machine: Machine,
    pub(crate) convention: Convention,
    pub(crate) text: &'a [u8],
    /// In the order of their addresses.
    pub(crate) functions: Vec<Function>,
    pub(crate) layout: Layout,
}

impl<'a> Image<'a> {
    /// Reads an image from its file.
    pub(crate) fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let elf = elf::parse(file)?;
        let machine = match elf.machine {
            X86_64 => Machine::X86_64,
            AARCH64 => Machine::Aarch64,
            other => return Err(Error::Machine(other)),
        };
        let convention = convention(file);
        if (machine, convention) == (Machine::Aarch64, Convention::Windows) {
            return Err(Error::Malformed("there are no rules for Windows on aarch64"));
        }
        let mut functions = Vec::with_capacity(elf.functions.len());
        for symbol in &elf.functions {
            let end = symbol.start.checked_add(symbol.size).ok_or(Error::Truncated)?;
            if end > elf.text.len() as u64 || symbol.size == 0 {
                return Err(Error::Malformed("a function lies outside of the code"));
            }
            functions.push(Function {
                name: symbol.name.to_owned(),
                role: role(symbol.name)
                    .ok_or(Error::Malformed("a function has an unknown role"))?,
                start: u32::try_from(symbol.start).map_err(|_| Error::Truncated)?,
                end: u32::try_from(end).map_err(|_| Error::Truncated)?,
            });
        }
        functions.sort_by_key(|function| function.start);
        if functions.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return Err(Error::Malformed("functions overlap"));
        }
        if !functions.iter().any(|function| function.role == Role::Builtin(Builtin::OutOfFuel)) {
            return Err(Error::Stock);
        }
        let layout = Layout::new(imports(&functions)?);
        Ok(Self { machine, convention, text: elf.text, functions, layout })
    }

    /// The function that begins at an address.
    pub(crate) fn function_at(&self, address: u32) -> Option<usize> {
        self.functions.binary_search_by_key(&address, |function| function.start).ok()
    }
}

/// How the host is called, by the target in the manifest at the end of an image (wasm/ABI.md). The
/// runtime loads images for its own target only.
fn convention(file: &[u8]) -> Convention {
    let target = || {
        let (rest, length) = file.strip_suffix(b"SERPIMG1")?.split_last_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let manifest = std::str::from_utf8(rest.get(rest.len().checked_sub(length)?..)?).ok()?;
        manifest.split_once("\"target\":\"")?.1.split('"').next()
    };
    match target() {
        Some(target) if target.contains("windows") => Convention::Windows,
        _ => Convention::Unix,
    }
}

/// The number of imported functions: those of the module are numbered behind them.
fn imports(functions: &[Function]) -> Result<u32, Error> {
    let number = |function: &Function| between(&function.name, "wasm[0]::function[", "]");
    let least = functions.iter().filter_map(number).min();
    least.ok_or(Error::Malformed("it has no functions"))
}

/// The role of a function, by the names that wasmtime gives.
fn role(name: &str) -> Option<Role> {
    let builtin = |kind| Some(Role::Builtin(kind));
    match name {
        "module_start[0]::Wasm" => return Some(Role::Wasm),
        "module_start[0]::Array" => return Some(Role::Entry),
        "wasmtime_builtin_memory_copy" => return builtin(Builtin::Copy),
        "wasmtime_builtin_memory_fill" => return builtin(Builtin::Fill),
        "wasmtime_builtin_table_get_lazy_init_func_ref" => {
            return builtin(Builtin::FunctionOfTable);
        }
        "wasmtime_patchable_builtin_out_of_gas" => return builtin(Builtin::OutOfFuel),
        "wasmtime_builtin_memory_grow" => return builtin(Builtin::Other),
        _ => {}
    }
    if name.starts_with("wasm[0]::function[") {
        Some(Role::Wasm)
    } else if name.starts_with("wasm[0]::array_to_wasm_trampoline[") {
        Some(Role::Entry)
    } else if name.starts_with("signatures[") && name.ends_with("]::wasm_to_array_trampoline") {
        Some(Role::Exit)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(name: &str) -> Option<u32> {
        let function = Function { name: name.to_owned(), role: Role::Wasm, start: 0, end: 1 };
        let module = Module { imports: 11, functions: vec![3, 5], ..Module::default() };
        function.signature(11, Some(&module))
    }

    #[test]
    fn signatures_of_functions_are_found() {
        assert_eq!(signature("wasm[0]::function[12]"), Some(5));
        assert_eq!(signature("wasm[0]::function[13]"), None);
        assert_eq!(signature("wasm[0]::function[10]"), None);
        assert_eq!(signature("signatures[7]::wasm_to_array_trampoline"), Some(7));
        assert_eq!(signature("wasmtime_builtin_memory_copy"), None);
    }

    #[test]
    fn the_convention_is_the_targets() {
        let image = |target: &str| {
            let manifest = format!("{{\"target\":\"{target}\",\"version\":\"1\"}}");
            let length = (manifest.len() as u32).to_le_bytes();
            [b"code", manifest.as_bytes(), &length, b"SERPIMG1"].concat()
        };
        assert_eq!(convention(&image("x86_64-pc-windows-gnu")), Convention::Windows);
        assert_eq!(convention(&image("x86_64-unknown-linux-gnu")), Convention::Unix);
        assert_eq!(convention(b"windows"), Convention::Unix);
    }
}
