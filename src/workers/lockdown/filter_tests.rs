//! Tests of the compiled filter. An interpreter runs it, so that every call is asked.

use super::*;

const PIPE: u64 = 10;
const PROCESS: u64 = 4_000;

/// Numbers of calls that are asked. The kernel's tables end below 500.
const NUMBERS: std::ops::Range<u32> = 0..2_000;

/// `struct seccomp_data` of `linux/seccomp.h`.
struct Call {
    number: u32,
    architecture: u32,
    arguments: [u64; 6],
}

/// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64` of `linux/audit.h`.
const NATIVE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
/// `AUDIT_ARCH_I386`.
const OTHER: u32 = 0x4000_0003;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.architecture,
            16.. => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => 0,
        }
    }
}

/// Runs a filter as the kernel does, for the instructions that the compiler emits. Returns the
/// action.
fn run(program: &[sock_filter], call: &Call) -> u32 {
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        let code = u32::from(code);
        at += 1;
        let mut jump = |condition| at += usize::from(if condition { jt } else { jf });
        match code & 0x07 {
            libc::BPF_LD => accumulator = call.word(k),
            libc::BPF_ALU if code & 0xf0 == libc::BPF_AND => accumulator &= k,
            libc::BPF_RET => return k,
            libc::BPF_JMP => match code & 0xf0 {
                libc::BPF_JA => at += k as usize,
                libc::BPF_JEQ => jump(accumulator == k),
                libc::BPF_JGT => jump(accumulator > k),
                libc::BPF_JGE => jump(accumulator >= k),
                other => panic!("jump {other:#x}"),
            },
            other => panic!("class {other:#x}"),
        }
    }
}

fn program() -> BpfProgram {
    compile(allowed(PIPE, PROCESS)).unwrap()
}

fn native(number: libc::c_long, arguments: [u64; 6]) -> u32 {
    run(&program(), &Call { number: number as u32, architecture: NATIVE, arguments })
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_list_of_allowed_system_calls_is_pinned() {
    let mut lines: Vec<_> = allowed(PIPE, PROCESS).iter().map(|call| format!("{call}\n")).collect();
    lines.sort();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/system_calls.golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, lines.concat()).unwrap();
    }
    assert_eq!(lines.concat(), std::fs::read_to_string(path).unwrap(), "UPDATE_GOLDEN=1 renews it");
}

#[test]
fn the_filter_kills_at_every_call_that_is_not_listed() {
    let (program, listed) = (program(), allowed(PIPE, PROCESS));
    // Zeroes and ones: no set of conditions of a listed call holds for one of both by chance only.
    for arguments in [[0; 6], [u64::MAX; 6]] {
        for number in NUMBERS {
            let call = Call { number, architecture: NATIVE, arguments };
            let action = run(&program, &call);
            let is_listed = listed.iter().any(|call| call.number == i64::from(number));
            assert!(is_listed || action == KILL, "call {number} has the action {action:#x}");
            // The ABI x32 sets this bit. Another architecture has other numbers.
            let x32 = Call { number: number | 0x4000_0000, ..call };
            assert_eq!(run(&program, &x32), KILL, "call {number} of x32");
            let other = Call { number, architecture: OTHER, arguments };
            let action = run(&program, &other);
            let is_clone3 = i64::from(number) == libc::SYS_clone3;
            assert!(is_clone3 || action == KILL, "call {number} of another architecture");
        }
    }
}

#[test]
fn arguments_of_allowed_calls_obeyed() {
    let pages = [0, 4096];
    let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let allowed = [
        (libc::SYS_mmap, [pages[0], pages[1], 3, private, u64::MAX, 0]),
        (libc::SYS_mprotect, [pages[0], pages[1], 1, 0, 0, 0]),
        (libc::SYS_mprotect, [pages[0], pages[1], 0, 0, 0, 0]),
        (libc::SYS_madvise, [0, 4096, 4, 0, 0, 0]),
        // The kernel ignores the upper half of an `int`.
        (libc::SYS_madvise, [0, 4096, 0xffff_ffff_0000_0004, 0, 0, 0]),
        (libc::SYS_ioctl, [7, 0xc060_6610, 0, 0, 0, 0]),
        (libc::SYS_clone, [0x003d_0f00, 0, 0, 0, 0, 0]),
        (libc::SYS_clone, [0x007d_0f00, 0, 0, 0, 0, 0]),
        (libc::SYS_futex, [0, 0x80, 0, 0, 0, 0]),
        (libc::SYS_futex, [0, 9 | 256, 0, 0, 0, 0]),
        (libc::SYS_sendto, [PIPE, 0, 9, 0x4000, 0, 0]),
        (libc::SYS_recvfrom, [PIPE, 0, 9, 0, 0, 0]),
        (libc::SYS_tgkill, [PROCESS, PROCESS, 6, 0, 0, 0]),
        (libc::SYS_prctl, [15, 0, 0, 0, 0, 0]),
        (libc::SYS_process_madvise, [-10_000_i64 as u64, 0, 2, 4, 0, 0]),
        (libc::SYS_process_madvise, [0xffff_d8f0, 0, 2, 4, 0, 0]),
        (libc::SYS_mremap, [0, 4096, 8192, 1, 0, 0]),
    ];
    for (number, arguments) in allowed {
        assert_eq!(native(number, arguments), ALLOW, "call {number} {arguments:x?}");
    }
    assert_eq!(native(libc::SYS_clone3, [0; 6]), libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
}

#[test]
fn arguments_of_allowed_calls_violated() {
    let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let shared = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as u64;
    let huge = private | libc::MAP_HUGETLB as u64;
    let refused = [
        (libc::SYS_mmap, [0, 4096, 7, private, u64::MAX, 0]),
        (libc::SYS_mmap, [0, 4096, 4, private, u64::MAX, 0]),
        (libc::SYS_mmap, [0, 4096, 3 | 1 << 40, private, u64::MAX, 0]),
        (libc::SYS_mmap, [0, 4096, 3, shared, u64::MAX, 0]),
        (libc::SYS_mmap, [0, 4096, 3, huge, u64::MAX, 0]),
        (libc::SYS_mprotect, [0, 4096, 5, 0, 0, 0]),
        (libc::SYS_mprotect, [0, 4096, 7, 0, 0, 0]),
        // MREMAP_FIXED, MREMAP_DONTUNMAP.
        (libc::SYS_mremap, [0, 4096, 8192, 3, 0, 0]),
        (libc::SYS_mremap, [0, 4096, 8192, 5, 0, 0]),
        // MADV_REMOVE, MADV_MERGEABLE, MADV_HWPOISON.
        (libc::SYS_madvise, [0, 4096, 9, 0, 0, 0]),
        (libc::SYS_madvise, [0, 4096, 12, 0, 0, 0]),
        (libc::SYS_madvise, [0, 4096, 100, 0, 0, 0]),
        // TIOCSTI, UFFDIO_COPY.
        (libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0]),
        (libc::SYS_ioctl, [7, 0xc028_aa03, 0, 0, 0, 0]),
        // A fork, a vfork, and a thread in new namespaces.
        (libc::SYS_clone, [17, 0, 0, 0, 0, 0]),
        (libc::SYS_clone, [0x4111, 0, 0, 0, 0, 0]),
        (libc::SYS_clone, [0x003d_0f00 | libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0]),
        // FUTEX_LOCK_PI, FUTEX_CMP_REQUEUE_PI.
        (libc::SYS_futex, [0, 6, 0, 0, 0, 0]),
        (libc::SYS_futex, [0, 12 | 128, 0, 0, 0, 0]),
        // Another descriptor, out-of-band data, an address.
        (libc::SYS_sendto, [PIPE + 1, 0, 9, 0x4000, 0, 0]),
        (libc::SYS_sendto, [PIPE, 0, 9, 0x4001, 0, 0]),
        (libc::SYS_sendto, [PIPE, 0, 9, 0x4000, 1 << 32, 0]),
        (libc::SYS_recvfrom, [PIPE, 0, 9, 1, 0, 0]),
        (libc::SYS_tgkill, [PROCESS - 1, PROCESS, 9, 0, 0, 0]),
        // PR_SET_DUMPABLE, PR_SET_MM.
        (libc::SYS_prctl, [4, 1, 0, 0, 0, 0]),
        (libc::SYS_prctl, [35, 0, 0, 0, 0, 0]),
        (libc::SYS_process_madvise, [3, 0, 2, 4, 0, 0]),
        (libc::SYS_process_madvise, [-10_000_i64 as u64, 0, 2, 21, 0, 0]),
        (libc::SYS_epoll_ctl, [4, 1, 5, 0, 0, 0]),
    ];
    for (number, arguments) in refused {
        assert_eq!(native(number, arguments), KILL, "call {number} {arguments:x?}");
    }
}
