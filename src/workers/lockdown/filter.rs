//! Compiles the allowed calls to a [seccomp(2)] filter and installs it.
//!
//! [seccomp(2)]: https://man7.org/linux/man-pages/man2/seccomp.2.html

use std::{collections::BTreeMap, io, os::fd::RawFd};

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
    sock_filter,
};

use super::calls::{AllowedCall, Condition, allowed};

/// Installs the filter in all threads of the process. `pipe` is the connection to the parent.
///
/// # Errors
/// The kernel has no filters, or the filter does not support the CPU.
pub(crate) fn install(pipe: RawFd) -> io::Result<()> {
    let pipe = u64::try_from(pipe).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    let calls = allowed(pipe, std::process::id().into());
    // The crate knows no other CPU than x86-64, 64-bit Arm and RISC-V.
    let program = compile(calls).map_err(|_| io::Error::from_raw_os_error(libc::ENOSYS))?;
    match apply_filter_all_threads(&program) {
        Ok(()) => Ok(()),
        Err(Error::Seccomp(error) | Error::Prctl(error)) => Err(error),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Compiles a filter that kills the process at each other call. A call of another ABI (32-bit, x32)
/// is another call.
fn compile(calls: Vec<AllowedCall>) -> Result<BpfProgram, BackendError> {
    let mut rules = BTreeMap::new();
    for call in calls {
        let sets: Result<Vec<_>, _> = call.when.iter().map(|set| rule(set)).collect();
        rules.insert(call.number, sets?);
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter =
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?;
    let mut program = Vec::from(without_clone3());
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

fn rule(set: &[Condition]) -> Result<SeccompRule, BackendError> {
    let conditions: Result<Vec<_>, _> = set.iter().map(condition).collect();
    SeccompRule::new(conditions?)
}

fn condition(condition: &Condition) -> Result<SeccompCondition, BackendError> {
    let Condition { argument, mask, value, is_long } = *condition;
    let length = if is_long { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
    SeccompCondition::new(argument, length, SeccompCmpOp::MaskedEq(mask), value)
}

/// Instructions that answer clone3(2) with `ENOSYS`. A filter of the crate has one action for all
/// calls that match.
fn without_clone3() -> [sock_filter; 3] {
    let instruction =
        |code: u32, if_false, k| sock_filter { code: code as u16, jt: 0, jf: if_false, k };
    [
        // The number of the call is the first field of `struct seccomp_data`.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, libc::SYS_clone3 as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ]
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
