//! The lockdown of workers: system calls from inside real workers, what the log says of them, the
//! setting, and a load that the filter must not disturb.

use std::{collections::BTreeMap, io, os::unix::process::CommandExt, process::Command};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

#[cfg(target_arch = "x86_64")]
mod inside;
mod load;
mod setting;

/// Makes a system call fail with `ENOSYS` in the processes of a command, as in an old kernel or
/// container.
fn refuse(command: &mut Command, number: libc::c_long) {
    let filter = SeccompFilter::new(
        BTreeMap::from([(number, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let filter = BpfProgram::try_from(filter.unwrap()).unwrap();
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || apply_filter(&filter).map_err(|_| io::Error::last_os_error()))
    };
}
