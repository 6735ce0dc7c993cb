//! The system calls that a worker may make once it is locked in. Each other call kills it.
//!
//! Measured with `strace -f` under load (docs/decisions/0027-lockdown.md), and completed from the
//! sources of the C library, the runtime and wasmtime for rare cases.

use std::fmt;

/// A system call, and conditions on its arguments.
#[derive(Debug)]
pub(crate) struct AllowedCall {
    /// The constant of the C library, such as `SYS_brk`.
    name: &'static str,
    pub number: libc::c_long,
    /// Sets of conditions, of which one must hold. No set: the call is always allowed.
    pub when: Vec<Vec<Condition>>,
}

/// A condition on an argument: `argument & mask == value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Condition {
    pub argument: u8,
    pub mask: u64,
    pub value: u64,
    /// Whether the kernel reads all 64 bits of the argument, or only the lower 32.
    pub is_long: bool,
}

/// An argument of the type `int` has this value.
fn is(argument: u8, value: u64) -> Condition {
    Condition { argument, mask: u32::MAX.into(), value: value & 0xffff_ffff, is_long: false }
}

/// A pointer is null.
fn null(argument: u8) -> Condition {
    Condition { argument, mask: u64::MAX, value: 0, is_long: true }
}

/// Flags have all of `required`, any of `optional`, and no others.
fn flags(argument: u8, required: libc::c_int, optional: libc::c_int) -> Condition {
    Condition { argument, mask: !(optional as u64), value: required as u64, is_long: true }
}

/// `PAGEMAP_SCAN` of `linux/fs.h`.
const PAGEMAP_SCAN: u64 = 0xc060_6610;
/// `UFFDIO_REGISTER` of `linux/userfaultfd.h`.
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
/// `PIDFD_SELF` of `linux/pidfd.h`.
const PIDFD_SELF: u64 = -10_000_i64 as u64;
/// `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE` of `asm-generic/mman-common.h`: glibc 2.42 guards
/// stacks with them.
const GUARD_ADVICES: [libc::c_int; 2] = [102, 103];
/// `PR_SET_VMA` of `linux/prctl.h`, with `PR_SET_VMA_ANON_NAME`: glibc can name its mappings.
const PR_SET_VMA: u64 = 0x5356_4d41;

macro_rules! always {
    ($($name:ident),* $(,)?) => {
        [$(AllowedCall { name: stringify!($name), number: libc::$name, when: Vec::new() }),*]
    };
}

macro_rules! when {
    ($name:ident, $($conditions:expr),+ $(,)?) => {
        AllowedCall {
            name: stringify!($name),
            number: libc::$name,
            when: vec![$($conditions.to_vec()),+],
        }
    };
}

/// Returns the allowed calls of the process `process`, whose pipe to the parent is `pipe`.
pub(crate) fn allowed(pipe: u64, process: u64) -> Vec<AllowedCall> {
    let mut calls = plain();
    calls.extend(memory());
    calls.extend(threads(process));
    calls.extend(pipe_calls(pipe));
    calls
}

/// Calls that act on nothing but open descriptors, time and the calling thread.
fn plain() -> Vec<AllowedCall> {
    let mut calls = Vec::from(always![
        SYS_brk,
        SYS_clock_gettime,
        SYS_close,
        SYS_epoll_pwait,
        SYS_exit,
        SYS_exit_group,
        SYS_getpid,
        SYS_getrandom,
        SYS_gettid,
        SYS_munmap,
        SYS_restart_syscall,
        SYS_rseq,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_sched_getaffinity,
        SYS_sched_yield,
        SYS_set_robust_list,
        SYS_sigaltstack,
        // The waker of the runtime, and messages of panics.
        SYS_write,
        // The messages of the C library before it aborts.
        SYS_writev,
    ]);
    #[cfg(target_arch = "x86_64")]
    calls.extend(always![SYS_epoll_wait]);
    calls
}

/// Memory, without any that is executable.
fn memory() -> Vec<AllowedCall> {
    let read_write = |argument| flags(argument, 0, libc::PROT_READ | libc::PROT_WRITE);
    let placed = libc::MAP_FIXED
        | libc::MAP_FIXED_NOREPLACE
        | libc::MAP_ANONYMOUS
        | libc::MAP_NORESERVE
        | libc::MAP_STACK;
    let advices = [
        libc::MADV_DONTNEED,
        libc::MADV_FREE,
        libc::MADV_HUGEPAGE,
        libc::MADV_NOHUGEPAGE,
        GUARD_ADVICES[0],
        GUARD_ADVICES[1],
    ];
    vec![
        when!(SYS_mmap, [read_write(2), flags(3, libc::MAP_PRIVATE, placed)]),
        when!(SYS_mprotect, [read_write(2)]),
        when!(SYS_mremap, [flags(3, libc::MREMAP_MAYMOVE, 0)]),
        AllowedCall {
            name: "SYS_madvise",
            number: libc::SYS_madvise,
            when: advices.map(|advice| vec![is(2, advice as u64)]).to_vec(),
        },
        // wasmtime's pool gives several ranges back at once.
        when!(SYS_process_madvise, [is(0, PIDFD_SELF), is(3, libc::MADV_DONTNEED as u64)]),
        when!(SYS_ioctl, [is(1, PAGEMAP_SCAN)], [is(1, UFFDIO_REGISTER)]),
    ]
}

/// Threads of this process. A new process needs a call without `CLONE_THREAD`.
fn threads(process: u64) -> Vec<AllowedCall> {
    let thread = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD;
    let details = libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_SETTID
        | libc::CLONE_CHILD_CLEARTID
        | libc::CLONE_DETACHED;
    let waits =
        [libc::FUTEX_WAIT, libc::FUTEX_WAKE, libc::FUTEX_WAIT_BITSET, libc::FUTEX_WAKE_BITSET];
    let modes = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;
    let futex = |operation: libc::c_int| Condition {
        argument: 1,
        mask: u64::from(!(modes as u32)),
        value: operation as u64,
        is_long: false,
    };
    // Fails with ENOSYS (see `filter`): its flags are in memory, which a filter cannot read. The C
    // library then uses clone(2).
    let [clone3] = always![SYS_clone3];
    vec![
        when!(SYS_clone, [flags(0, thread, details)]),
        clone3,
        AllowedCall {
            name: "SYS_futex",
            number: libc::SYS_futex,
            when: waits.map(|operation| vec![futex(operation)]).to_vec(),
        },
        when!(SYS_prctl, [is(0, libc::PR_SET_NAME as u64)], [is(0, PR_SET_VMA), null(1)],),
        // abort(3).
        when!(SYS_tgkill, [is(0, process)]),
    ]
}

/// The pipe to the parent. Without addresses, control messages (descriptors) and out-of-band data.
fn pipe_calls(pipe: u64) -> Vec<AllowedCall> {
    vec![
        when!(SYS_recvfrom, [is(0, pipe), is(3, 0), null(4)]),
        when!(SYS_sendto, [is(0, pipe), is(3, libc::MSG_NOSIGNAL as u64), null(4)]),
        when!(SYS_shutdown, [is(0, pipe)]),
        // Closes it.
        when!(SYS_epoll_ctl, [is(1, libc::EPOLL_CTL_DEL as u64)]),
    ]
}

impl fmt::Display for AllowedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.strip_prefix("SYS_").unwrap_or(self.name))?;
        for (index, set) in self.when.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { " | " })?;
            for (index, condition) in set.iter().enumerate() {
                write!(f, "{}{condition}", if index == 0 { "" } else { ", " })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { argument, mask, value, is_long } = *self;
        let all = if is_long { u64::MAX } else { u32::MAX.into() };
        if mask == all {
            write!(f, "arg{argument} = {value:#x}")
        } else {
            write!(f, "arg{argument} without {:#x} = {value:#x}", !mask & all)
        }
    }
}
