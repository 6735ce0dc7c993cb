//! Makes system calls inside workers of a running runner, as code that took one over makes them.
//! Each call gets a worker of its own, because most calls kill it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::refuse;
use crate::support::{
    inside::{Ended, Inside},
    script_broker::{PATIENCE, command, signal},
};

/// A user without privileges.
const NOBODY: u32 = 65_534;

/// A secret in the environment of the runner.
const TOKEN: &str = "a-token-of-the-runner";

/// A runner without a broker: its workers start nevertheless.
struct Parent {
    child: Child,
    _directory: TempDir,
}

impl Parent {
    fn start(user: u32, workers: usize, lockdown: &str) -> Self {
        Self::start_without(None, user, workers, lockdown)
    }

    /// Starts one for which a system call fails.
    fn start_without(
        call: Option<libc::c_long>,
        user: u32,
        workers: usize,
        lockdown: &str,
    ) -> Self {
        // The user may not search the directories of the build.
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = directory.path().join("serpentarium");
        fs::copy(env!("CARGO_BIN_EXE_serpentarium"), &program).unwrap();
        let variables = [
            ("N8N_RUNNERS_AUTH_TOKEN", TOKEN),
            ("SERPENTARIUM_WORKERS", &workers.to_string()),
            ("SERPENTARIUM_LOCKDOWN", lockdown),
        ];
        let runner = command(9, &variables);
        let mut command = Command::new(program);
        command.arg("runner").env_clear().uid(user).gid(user).current_dir("/");
        command.envs(runner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(call) = call {
            refuse(&mut command, call);
        }
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        Self { child, _directory: directory }
    }

    /// Returns its workers once all are set up.
    fn workers(&self, count: usize, is_set_up: impl Fn(&str) -> bool) -> Vec<u32> {
        let by = Instant::now() + PATIENCE;
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        loop {
            let workers: Vec<u32> = fs::read_to_string(&children)
                .unwrap()
                .split_whitespace()
                .map(|child| child.parse().unwrap())
                .collect();
            let status =
                |worker| fs::read_to_string(format!("/proc/{worker}/status")).unwrap_or_default();
            if workers.len() == count && workers.iter().all(|worker| is_set_up(&status(worker))) {
                return workers;
            }
            assert!(Instant::now() < by, "the workers are not set up");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Reads its log until a line has this part.
    fn wait_for_line(&mut self, part: &str) {
        let mut log = BufReader::new(self.child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the log ended");
        }
    }

    /// Stops it. Returns its log.
    fn log(mut self) -> String {
        signal(&self.child, "TERM");
        let mut log = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        self.child.wait().unwrap();
        log
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether this process may trace others, as the tests need. Prints why they are skipped.
fn may_trace() -> bool {
    let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    let stopped = Inside::stop(child.id()).map(drop);
    let _ = child.kill();
    let _ = child.wait();
    // SAFETY: the call has no arguments.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root || stopped.is_err() {
        eprintln!("skipped: this test needs root and ptrace(2): {stopped:?}");
    }
    is_root && stopped.is_ok()
}

/// Calls by their name.
type Calls = Vec<(&'static str, fn(&mut Inside, u64) -> Ended)>;

/// What code that took over a worker would try. The second argument is the process id of the
/// parent.
fn attempts() -> Calls {
    vec![
        ("open the parent's environment", |inside, parent| {
            let path = inside.path(&format!("/proc/{parent}/environ"));
            inside.call(libc::SYS_open, &[path, 0])
        }),
        ("open the parent's memory", |inside, parent| {
            let path = inside.path(&format!("/proc/{parent}/mem"));
            inside.call(libc::SYS_openat, &[-100_i64 as u64, path, libc::O_RDWR as u64])
        }),
        ("read the parent's memory", |inside, parent| {
            inside.call(libc::SYS_process_vm_readv, &[parent])
        }),
        ("trace the parent", |inside, parent| inside.call(libc::SYS_ptrace, &[0x4206, parent])),
        ("signal the parent", |inside, parent| inside.call(libc::SYS_kill, &[parent, 0])),
        ("signal a thread of the parent", |inside, parent| {
            inside.call(libc::SYS_tgkill, &[parent, parent, 0])
        }),
        ("get a handle of the parent", |inside, parent| {
            inside.call(libc::SYS_pidfd_open, &[parent])
        }),
        ("read a file", |inside, _| {
            let path = inside.path("/etc/passwd");
            inside.call(libc::SYS_openat, &[-100_i64 as u64, path, 0])
        }),
        ("make a file", |inside, _| {
            let path = inside.path("/tmp/serpentarium-was-here");
            inside.call(libc::SYS_open, &[path, (libc::O_CREAT | libc::O_RDWR) as u64, 0o644])
        }),
        ("make a socket", |inside, _| inside.call(libc::SYS_socket, &[2, 1])),
        ("connect", |inside, _| {
            // 127.0.0.1:5679
            let address = inside.put(&[2, 0, 0x16, 0x2f, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
            inside.call(libc::SYS_connect, &[0, address, 16])
        }),
        ("send a descriptor", |inside, _| inside.call(libc::SYS_sendmsg, &[0])),
        ("fork", |inside, _| inside.call(libc::SYS_fork, &[])),
        ("vfork", |inside, _| inside.call(libc::SYS_vfork, &[])),
        ("clone a process", |inside, _| inside.call(libc::SYS_clone, &[libc::SIGCHLD as u64])),
        ("run a program", |inside, _| {
            let path = inside.path("/bin/true");
            inside.call(libc::SYS_execve, &[path])
        }),
        ("map executable memory", |inside, _| {
            inside.call(libc::SYS_mmap, &[0, 4096, 7, 0x22, u64::MAX])
        }),
        ("make memory executable", |inside, _| {
            let page = inside.put(b"x") & !0xfff;
            inside.call(libc::SYS_mprotect, &[page, 4096, 5])
        }),
        ("enter a user namespace", |inside, _| {
            inside.call(libc::SYS_unshare, &[libc::CLONE_NEWUSER as u64])
        }),
        ("change the root", |inside, _| {
            let path = inside.path("/tmp");
            inside.call(libc::SYS_chroot, &[path])
        }),
        ("become root", |inside, _| inside.call(libc::SYS_setuid, &[0])),
        ("become dumpable", |inside, _| {
            inside.call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, 1])
        }),
        ("raise a limit", |inside, _| inside.call(libc::SYS_prlimit64, &[0, 7])),
        ("handle page faults", |inside, _| inside.call(libc::SYS_userfaultfd, &[1])),
        ("use the keyring", |inside, _| inside.call(libc::SYS_keyctl, &[0, -3_i64 as u64])),
        ("make a file in memory", |inside, _| {
            let name = inside.path("x");
            inside.call(libc::SYS_memfd_create, &[name])
        }),
        ("use io_uring", |inside, _| {
            let parameters = inside.put(&[0; 120]);
            inside.call(libc::SYS_io_uring_setup, &[8, parameters])
        }),
        ("load a BPF program", |inside, _| inside.call(libc::SYS_bpf, &[])),
        ("read performance counters", |inside, _| {
            let attributes = inside.put(&[0; 128]);
            inside.call(libc::SYS_perf_event_open, &[attributes, 0, u64::MAX, u64::MAX])
        }),
        ("call another ABI", |inside, _| {
            // getpid(2) of x32.
            inside.call(libc::SYS_getpid | 0x4000_0000, &[])
        }),
    ]
}

fn is_locked_in(status: &str) -> bool {
    status.contains("\nSeccomp:\t2\n") && status.contains("\nNoNewPrivs:\t1\n")
}

fn attempts_kill_workers_of(user: u32) {
    if !may_trace() {
        return;
    }
    let attempts = attempts();
    let parent = Parent::start(user, attempts.len(), "required");
    let workers = parent.workers(attempts.len(), is_locked_in);
    let parent_id = parent.child.id().into();
    for ((name, attempt), worker) in attempts.iter().zip(workers) {
        let mut inside = Inside::stop(worker).unwrap();
        assert_eq!(attempt(&mut inside, parent_id), Ended::Killed(libc::SIGSYS), "{name}");
    }
    assert!(!Path::new("/tmp/serpentarium-was-here").exists());
    let log = parent.log();
    assert!(log.contains("Workers are locked in: no core dumps, no new privileges, Landlock"));
    assert!(log.contains("was killed by SIGSYS: it made a system call that its lockdown forbids"));
    assert_eq!(log.matches("Workers are locked in").count(), 1, "{log}");
}

#[test]
fn a_forbidden_system_call_kills_the_worker_of_root() {
    attempts_kill_workers_of(0);
}

#[test]
fn a_forbidden_system_call_kills_the_worker_of_a_user() {
    attempts_kill_workers_of(NOBODY);
}

/// The other tests would prove nothing if these calls failed anyway.
#[test]
fn without_the_lockdown_a_worker_reads_its_parent() {
    if !may_trace() {
        return;
    }
    let mut parent = Parent::start(NOBODY, 1, "off");
    let workers = parent.workers(1, |status| status.contains("\nSeccomp:\t0\n"));
    parent.wait_for_line("Workers are not locked in");
    let mut inside = Inside::stop(workers[0]).unwrap();
    let path = inside.path(&format!("/proc/{}/environ", parent.child.id()));
    let Ended::Returned(descriptor) = inside.call(libc::SYS_open, &[path, 0]) else {
        panic!("the environment is closed")
    };
    let buffer = inside.put(&[0; 4096]);
    let read = inside.call(libc::SYS_read, &[descriptor as u64, buffer, 4096]);
    assert!(matches!(read, Ended::Returned(size) if size > 0), "{read:?}");
    assert!(matches!(inside.call(libc::SYS_socket, &[2, 1]), Ended::Returned(_)));
    assert_eq!(inside.call(libc::SYS_prctl, &[libc::PR_GET_DUMPABLE as u64]), Ended::Returned(1));
}

/// The parent withholds its environment even from processes that no filter restricts.
#[test]
fn another_process_of_the_user_cannot_read_the_parent() {
    // SAFETY: the call has no arguments.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: this test needs root, to change the user");
        return;
    }
    let parent = Parent::start(NOBODY, 1, "best-effort");
    parent.workers(1, is_locked_in);
    let read = |file: &str| {
        let path = format!("/proc/{}/{file}", parent.child.id());
        let mut cat = Command::new("cat");
        cat.arg(path).uid(NOBODY).gid(NOBODY).stderr(Stdio::null()).output().unwrap()
    };
    assert!(read("status").status.success(), "the process is there");
    for file in ["environ", "mem", "maps", "auxv"] {
        let output = read(file);
        assert!(!output.status.success() && output.stdout.is_empty(), "{file}");
    }
}

/// Where the kernel has no filters of system calls, the other parts hold.
#[test]
fn without_the_filter_the_other_parts_hold() {
    if !may_trace() {
        return;
    }
    for user in [0, NOBODY] {
        let mut parent = Parent::start_without(Some(libc::SYS_seccomp), user, 1, "best-effort");
        let workers = parent.workers(1, |status| !status.is_empty());
        parent.wait_for_line("missing: system call filter (Function not implemented");
        let parent_id = parent.child.id().into();
        let mut inside = Inside::stop(workers[0]).unwrap();
        let (file, directory) = (inside.path("/etc/passwd"), inside.path("/tmp/serpentarium"));
        let program = inside.path("/bin/true");
        // A `struct iovec` of eight bytes.
        let range = inside.put(&[program.to_ne_bytes(), 8_u64.to_ne_bytes()].concat());
        // Landlock.
        let refused = [
            (libc::EPERM, libc::SYS_kill, vec![parent_id, 0]),
            (libc::EPERM, libc::SYS_ptrace, vec![0x4206, parent_id]),
            (libc::EPERM, libc::SYS_process_vm_readv, vec![parent_id, range, 1, range, 1]),
            (libc::EACCES, libc::SYS_execve, vec![program]),
            (libc::EACCES, libc::SYS_mkdir, vec![directory, 0o755]),
            // The limit of descriptors.
            (libc::EMFILE, libc::SYS_open, vec![file, 0]),
            (libc::EMFILE, libc::SYS_socket, vec![2, 1]),
            (libc::EMFILE, libc::SYS_memfd_create, vec![directory]),
            (libc::EMFILE, libc::SYS_dup, vec![0]),
        ];
        for (error, number, arguments) in refused {
            let ended = inside.call(number, &arguments);
            assert_eq!(ended, Ended::Failed(error), "call {number} as user {user}");
        }
    }
}
