//! Runs generated modules in all engines, and shrinks one on which they differ.

use std::{fs, path::Path};

use wasmtime::{Result, error::Context};

use crate::{
    execute::Executor,
    generate::{self, Mode},
    host::Call,
    interpret::Interpreter,
    peer::Peer,
};

/// What has been compared.
#[derive(Debug, Default)]
struct Counts {
    modules: u64,
    calls: u64,
    /// Calls that trapped.
    traps: u64,
    /// Calls that returned or ran out of fuel, whose fuel is equal.
    fuel: u64,
    /// Calls that the interpreter ran as well.
    interpreted: u64,
    /// Calls without comparison: one engine ran out of stack.
    overflowed: u64,
}

struct Engines {
    own: Executor,
    peer: Peer,
    interpreter: Interpreter,
}

/// Compares `count` modules, from the one of `seed` on. Returns whether all agreed.
pub fn run(peer: &Path, seed: u64, count: u64, failures: &Path) -> Result<bool> {
    let mut engines = Engines {
        own: Executor::new()?,
        peer: Peer::start(peer)?,
        interpreter: Interpreter::new()?,
    };
    let mut counts = Counts::default();
    let mut failed = 0;
    for seed in seed..seed + count {
        // Every fourth module runs out of fuel.
        let mode = if seed % 4 == 3 { Mode::OutOfFuel } else { Mode::Ending };
        let entropy = generate::entropy(seed);
        let Some(module) = generate::module(&entropy, mode) else { continue };
        let difference = engines
            .difference(&module, mode, &mut counts)
            .with_context(|| format!("the module of seed {seed}"))?;
        if let Some(difference) = difference {
            failed += 1;
            let (module, difference) = engines.shrink(&entropy, mode, difference)?;
            fs::create_dir_all(failures)?;
            let path = failures.join(format!("seed-{seed}.wasm"));
            fs::write(&path, module)?;
            eprintln!("seed {seed}: {difference}\n    saved as {}", path.display());
        }
    }
    let Counts { modules, calls, traps, fuel, interpreted, overflowed } = counts;
    println!(
        "seeds {seed} to {}: {modules} modules, {calls} calls ({traps} traps); equal fuel in {fuel}; \
         {interpreted} in wasmi as well; {overflowed} left out for lack of stack; {failed} modules differ",
        seed + count - 1
    );
    Ok(failed == 0)
}

impl Engines {
    /// Returns the first difference between the engines.
    fn difference(
        &mut self,
        module: &[u8],
        mode: Mode,
        counts: &mut Counts,
    ) -> Result<Option<String>> {
        let own = self.own.run(module, mode)?;
        let peer = self.peer.run(module, mode)?;
        // The interpreter counts fuel in another way.
        let interpreted = if mode == Mode::Ending { self.interpreter.run(module) } else { None };
        if own.len() != peer.len() || interpreted.as_ref().is_some_and(|it| it.len() != own.len()) {
            return Ok(Some("the engines made different numbers of calls".into()));
        }
        counts.modules += 1;
        let interpreted = interpreted.unwrap_or_default();
        for (index, own) in own.iter().enumerate() {
            let (peer, interpreted) = (&peer[index], interpreted.get(index));
            let calls = [Some(own), Some(peer), interpreted];
            if calls.into_iter().flatten().any(|call| call.overflowed) {
                counts.overflowed += 1;
                continue;
            }
            counts.calls += 1;
            counts.traps += u64::from(own.outcome.starts_with(char::is_uppercase));
            counts.fuel += u64::from(own.fuel.is_some());
            counts.interpreted += u64::from(interpreted.is_some());
            if own != peer {
                return Ok(Some(format!("the code generators differ:\n  {own:?}\n  {peer:?}")));
            }
            if let Some(other) = interpreted.filter(|other| !same_result(own, other)) {
                return Ok(Some(format!("the interpreter differs:\n  {own:?}\n  {other:?}")));
            }
        }
        Ok(None)
    }

    /// Looks for fewer bytes of randomness whose module differs as well.
    fn shrink(
        &mut self,
        entropy: &[u8],
        mode: Mode,
        difference: String,
    ) -> Result<(Vec<u8>, String)> {
        let mut smallest = (entropy.to_vec(), difference);
        let mut step = entropy.len() / 2;
        while step > 0 {
            let kept = smallest.0.len().saturating_sub(step);
            let Some(module) = generate::module(&smallest.0[..kept], mode) else {
                step /= 2;
                continue;
            };
            match self.difference(&module, mode, &mut Counts::default())? {
                Some(difference) if kept > 0 => {
                    smallest = (smallest.0[..kept].to_vec(), difference);
                }
                _ => step /= 2,
            }
        }
        let module = generate::module(&smallest.0, mode).context("it was a module before")?;
        Ok((module, smallest.1))
    }
}

/// Compares all but the fuel.
fn same_result(one: &Call, other: &Call) -> bool {
    (&one.function, &one.outcome, &one.state) == (&other.function, &other.outcome, &other.state)
}
