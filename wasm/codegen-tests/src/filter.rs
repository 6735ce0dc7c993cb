//! Selects the directives of a test script that patched code may run.
//!
//! Patched code reaches memory through a register that only the host's calls set. So a module must
//! import functions of the host only (wasm/compiler/src/compile.rs refuses others). Scripts that
//! link modules with each other lose those modules, and the assertions on them. A module that one of
//! them imports from is lost from there on: the one left out would have changed it.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use wasmparser::{Parser, Payload, TypeRef};
use wast::{
    QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, Wat, parser::ParseBuffer, token::Id,
};

/// The module that the test suite expects of the host.
const HOST: &str = "spectest";

/// The selected text of a script, and its assertions.
#[derive(Debug, Default)]
pub struct Selected {
    pub text: String,
    /// Assertions that run code: of a result, of a trap, of an exhausted stack.
    pub runs: usize,
    /// Assertions that only compile or link: malformed, invalid, unlinkable modules.
    pub checks: usize,
    /// Assertions left out, because they need modules that are linked with each other.
    pub linked: usize,
}

/// What the selection knows of the modules before a directive.
#[derive(Default)]
struct Modules {
    left_out: HashSet<String>,
    current_is_left_out: bool,
    /// Names of modules by the name under which others import from them.
    registered: HashMap<String, String>,
}

impl Modules {
    fn has(&self, id: Option<Id>) -> bool {
        match id {
            Some(id) => !self.left_out.contains(id.name()),
            None => !self.current_is_left_out,
        }
    }

    fn define(&mut self, id: Option<Id>, is_kept: bool) {
        self.current_is_left_out = !is_kept;
        if let Some(id) = id {
            if is_kept {
                self.left_out.remove(id.name());
            } else {
                self.left_out.insert(id.name().to_owned());
            }
        }
    }

    fn keep(&mut self, directive: &mut WastDirective) -> bool {
        use WastDirective as D;
        match directive {
            D::Module(module) => {
                let is_kept = self.links(module.encode().ok());
                self.define(module.name(), is_kept);
                is_kept
            }
            D::ModuleDefinition(module) => {
                let is_kept = self.links(module.encode().ok());
                let name = module.name().map(|id| id.name().to_owned());
                if let Some(name) = name.filter(|_| !is_kept) {
                    self.left_out.insert(name);
                }
                is_kept
            }
            D::ModuleInstance { instance, module, .. } => {
                let is_kept = self.has(*module);
                self.define(*instance, is_kept);
                is_kept
            }
            D::Register { name, module, .. } => {
                if let Some(id) = module {
                    self.registered.insert((*name).to_owned(), id.name().to_owned());
                }
                self.has(*module)
            }
            D::Invoke(call) => self.calls(call),
            D::AssertReturn { exec, .. } | D::AssertTrap { exec, .. } => self.executes(exec),
            D::AssertExhaustion { call, .. } => self.calls(call),
            D::AssertUnlinkable { module, .. } => self.links(module.encode().ok()),
            D::AssertMalformed { .. } | D::AssertInvalid { .. } => true,
            _ => false,
        }
    }

    fn calls(&self, call: &WastInvoke) -> bool {
        self.has(call.module)
    }

    fn executes(&mut self, exec: &mut WastExecute) -> bool {
        match exec {
            WastExecute::Invoke(call) => self.calls(call),
            WastExecute::Wat(module) => self.links(module.encode().ok()),
            WastExecute::Get { module, .. } => self.has(*module),
        }
    }

    /// Returns whether a module imports functions of the host only. Loses the modules that another
    /// one imports from. A module without encoding imports nothing.
    fn links(&mut self, module: Option<Vec<u8>>) -> bool {
        let mut is_kept = true;
        for payload in Parser::new(0).parse_all(&module.unwrap_or_default()) {
            let Ok(Payload::ImportSection(imports)) = payload else { continue };
            for import in imports.into_imports().flatten() {
                is_kept &= import.module == HOST && matches!(import.ty, TypeRef::Func(_));
                if let Some(changed) = self.registered.get(import.module) {
                    self.left_out.insert(changed.clone());
                }
            }
        }
        is_kept
    }
}

/// Selects from a script.
pub fn select(script: &str) -> Result<Selected, wast::Error> {
    let mut lexer = wast::lexer::Lexer::new(script);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let mut directives = wast::parser::parse::<Wast>(&buffer)?.directives;
    if let [WastDirective::Module(QuoteWat::Wat(Wat::Module(_)))] = directives[..] {
        // The script may be the module itself, without a directive around it.
        return Ok(Selected { text: script.into(), ..Selected::default() });
    }
    let begins: Vec<usize> = directives
        .iter()
        .map(|directive| script[..directive.span().offset()].rfind('(').unwrap_or(0))
        .collect();
    let mut selected = Selected::default();
    let mut modules = Modules::default();
    for (index, directive) in directives.iter_mut().enumerate() {
        let end = begins.get(index + 1).copied().unwrap_or(script.len());
        let is_kept = modules.keep(directive);
        selected.add(directive, is_kept, script, begins[index]..end);
    }
    Ok(selected)
}

impl Selected {
    fn add(&mut self, directive: &WastDirective, is_kept: bool, script: &str, range: Range<usize>) {
        use WastDirective as D;
        let count = match directive {
            D::AssertReturn { .. } | D::AssertTrap { .. } | D::AssertExhaustion { .. } => {
                Some(&mut self.runs)
            }
            D::AssertMalformed { .. } | D::AssertInvalid { .. } | D::AssertUnlinkable { .. } => {
                Some(&mut self.checks)
            }
            _ => None,
        };
        match (count, is_kept) {
            (Some(count), true) => *count += 1,
            (Some(_), false) => self.linked += 1,
            (None, _) => {}
        }
        if is_kept {
            self.text.push_str(&script[range]);
        }
    }
}
