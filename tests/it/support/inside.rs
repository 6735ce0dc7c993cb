//! System calls from inside another process, as code that took it over makes them: ptrace(2) sets
//! its registers to a call and steps over one `syscall` instruction. Needs root.

use std::{
    fs::{self, File},
    io, mem,
    os::unix::fs::FileExt,
    ptr,
};

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It returned this value.
    Returned(i64),
    /// It failed with this error number.
    Failed(i32),
    /// This signal killed the process.
    Killed(i32),
}

/// A stopped process whose registers and memory are ours.
pub(crate) struct Inside {
    process: libc::pid_t,
    registers: libc::user_regs_struct,
    memory: File,
    /// Address of a `syscall` instruction.
    instruction: u64,
    /// Address of free memory, below the red zone of the stack.
    scratch: u64,
    used: u64,
}

impl Inside {
    /// Stops a process. Errors name the refused step: without the privilege no test can look.
    pub(crate) fn stop(process: u32) -> io::Result<Self> {
        let process = process as libc::pid_t;
        // SAFETY: the request takes no pointer.
        check(unsafe { libc::ptrace(libc::PTRACE_ATTACH, process, 0_usize, 0_usize) })?;
        wait(process)?;
        let registers = registers(process)?;
        let memory = File::options().read(true).write(true).open(format!("/proc/{process}/mem"))?;
        let instruction = find_instruction(process, &memory)?;
        let scratch = (registers.rsp - (64 << 10)) & !0xfff;
        Ok(Self { process, registers, memory, instruction, scratch, used: 0 })
    }

    /// Puts bytes into the memory of the process. Returns their address.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = self.scratch + self.used;
        self.memory.write_all_at(bytes, address).expect("the stack is writable");
        self.used += (bytes.len() as u64 + 15) & !15;
        address
    }

    /// Puts a path into the memory of the process. Returns its address.
    pub(crate) fn path(&mut self, path: &str) -> u64 {
        self.put(format!("{path}\0").as_bytes())
    }

    /// Makes a call.
    pub(crate) fn call(&self, number: libc::c_long, arguments: &[u64]) -> Ended {
        let mut registers = self.registers;
        registers.rax = number as u64;
        registers.orig_rax = u64::MAX;
        registers.rip = self.instruction;
        let mut all = arguments.iter().copied().chain(std::iter::repeat(0));
        for register in [
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.r10,
            &mut registers.r8,
            &mut registers.r9,
        ] {
            *register = all.next().unwrap_or(0);
        }
        // SAFETY: the kernel reads one structure of this type.
        check(unsafe {
            libc::ptrace(libc::PTRACE_SETREGS, self.process, 0_usize, ptr::from_ref(&registers))
        })
        .expect("the process is stopped");
        // SAFETY: the request takes no pointer.
        check(unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.process, 0_usize, 0_usize) })
            .expect("the process is stopped");
        match wait(self.process).expect("the process is ours") {
            Some(signal) => Ended::Killed(signal),
            None => {
                let returned =
                    self::registers(self.process).expect("the process is stopped").rax as i64;
                match returned {
                    -4095..0 => Ended::Failed(-returned as i32),
                    value => Ended::Returned(value),
                }
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // The registers are no longer those of the program. Fails if the process has ended.
        // SAFETY: the call takes no pointer.
        unsafe { libc::kill(self.process, libc::SIGKILL) };
    }
}

/// Waits for a stop, or for the end by a signal, which it returns.
fn wait(process: libc::pid_t) -> io::Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    check(unsafe { libc::waitpid(process, &mut status, libc::__WALL) }.into())?;
    if libc::WIFSIGNALED(status) { Ok(Some(libc::WTERMSIG(status))) } else { Ok(None) }
}

fn registers(process: libc::pid_t) -> io::Result<libc::user_regs_struct> {
    // SAFETY: the structure is plain integers.
    let mut registers: libc::user_regs_struct = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes one structure of this type.
    check(unsafe {
        libc::ptrace(libc::PTRACE_GETREGS, process, 0_usize, ptr::from_mut(&mut registers))
    })?;
    Ok(registers)
}

fn find_instruction(process: libc::pid_t, memory: &File) -> io::Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    for line in maps.lines().filter(|line| line.contains(" r-xp ") && line.contains("libc")) {
        let bounds = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bounds = bounds.and_then(|(begin, end)| {
            Some((u64::from_str_radix(begin, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
        });
        let Some((begin, end)) = bounds else { continue };
        let mut code = vec![0; (end - begin) as usize];
        memory.read_exact_at(&mut code, begin)?;
        if let Some(at) = code.windows(2).position(|bytes| bytes == [0x0f, 0x05]) {
            return Ok(begin + at as u64);
        }
    }
    Err(io::Error::other("the C library has no syscall instruction"))
}

fn check(returned: libc::c_long) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
