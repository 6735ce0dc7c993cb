//! The pipe to the other build's executable: a module there, the lines of its calls back.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use wasmtime::{Result, bail, error::Context};

use crate::{execute::Executor, generate::Mode, host::Call};

/// Runs the modules on standard input until it ends. Answers with one line for each call, and an
/// empty line.
pub fn serve() -> Result<bool> {
    let executor = Executor::new()?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    loop {
        let mut head = [0; 5];
        if input.read_exact(&mut head).is_err() {
            return Ok(true);
        }
        let [mode, a, b, c, d] = head;
        let mut module = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        input.read_exact(&mut module)?;
        let mode = if mode == 0 { Mode::Ending } else { Mode::OutOfFuel };
        match executor.run(&module, mode) {
            Ok(calls) => calls.iter().try_for_each(|call| writeln!(output, "{}", line(call)))?,
            Err(error) => writeln!(output, "error {error}")?,
        }
        writeln!(output)?;
        output.flush()?;
    }
}

/// Formats a call; [`parse`] reads it.
fn line(call: &Call) -> String {
    let fuel = call.fuel.map_or_else(|| "-".to_owned(), |fuel| fuel.to_string());
    format!("{}\t{}\t{}\t{fuel}\t{}", call.function, call.outcome, call.state, call.overflowed)
}

fn parse(line: &str) -> Result<Call> {
    let [function, outcome, state, fuel, overflowed] = line.split('\t').collect::<Vec<_>>()[..]
    else {
        bail!("the peer answered {line:?}")
    };
    Ok(Call {
        function: function.into(),
        outcome: outcome.into(),
        state: state.into(),
        fuel: fuel.parse().ok(),
        overflowed: overflowed == "true",
    })
}

/// The other executable.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub fn start(executable: &Path) -> Result<Self> {
        let mut child = Command::new(executable)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| executable.display().to_string())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the peer has no pipes");
        };
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// Runs a module there.
    ///
    /// # Errors
    /// The peer ended, or does not compile the module.
    pub fn run(&mut self, module: &[u8], mode: Mode) -> Result<Vec<Call>> {
        self.input.write_all(&[u8::from(mode == Mode::OutOfFuel)])?;
        self.input.write_all(&u32::try_from(module.len())?.to_le_bytes())?;
        self.input.write_all(module)?;
        let mut calls = Vec::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the peer ended: {}", self.child.wait()?);
            }
            match line.trim_end_matches('\n') {
                "" => return Ok(calls),
                line => calls.push(parse(line)?),
            }
        }
    }
}
