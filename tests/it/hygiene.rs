//! A task sees the same memory at its start, whatever ran before it. The task itself compares: it
//! reads all of its linear memory. `src/sandbox/hygiene.rs` compares from the host's side.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use serpentarium::{
    sandbox::{Job, NoHost, Outcome, Sandbox},
    workers::{Pool, PoolConfig},
};

use crate::support::{job, own_process, returned};

/// Returns a checksum of each page of the image.
const CHECKSUMS: &str = concat!(
    include_str!("../fixtures/all_of_memory.py"),
    "import zlib\nreturn [zlib.crc32(memory[page:page + 4096]) for page in pages]"
);

/// Programs whose traces a next task could find.
const TRACES: &[&str] = &[
    "x = ['SECRET-OF-A-TASK' * 99 for _ in range(50_000)]\nreturn len(x)",
    "import json, re, datetime, decimal, asyncio, email.message\n1 / 0",
    "import posix\nx = 'SECRET' * 1_000_000\nposix._exit(1)",
    "x = []\nfor _ in range(100_000): x = [x]\nreturn repr(x)",
    "import builtins, sys\nbuiltins.len = sys.modules.clear()",
];

fn checksums() -> Job {
    job(CHECKSUMS).seed(1)
}

fn pages(outcome: &Outcome) -> Vec<u64> {
    let value = returned(outcome);
    value.as_array().unwrap().iter().map(|sum| sum.as_u64().unwrap()).collect()
}

fn assert_same(first: &[u64], next: &[u64], after: &str) {
    let changed: Vec<_> = (0..first.len()).filter(|&page| first[page] != next[page]).collect();
    assert_eq!(changed, [0; 0], "pages changed by: {after}");
}

#[tokio::test]
async fn tasks_of_a_worker_start_with_the_same_memory() {
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    let config = PoolConfig { workers: 1, slots: 1, program, ..PoolConfig::default() };
    let pool = Pool::start(&config).unwrap();
    let first = pages(&pool.run(checksums(), Arc::new(NoHost)).await);
    for code in TRACES {
        let _ended = pool.run(job(code), Arc::new(NoHost)).await;
        // One instance was prepared ahead of its task, the other one was not.
        let both = tokio::join!(
            pool.run(checksums(), Arc::new(NoHost)),
            pool.run(checksums(), Arc::new(NoHost))
        );
        assert_same(&first, &pages(&both.0), code);
        assert_same(&first, &pages(&both.1), code);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs the programs and compares what a task sees after each.
fn check(sandbox: &Sandbox, first: &[u64]) {
    runtime().block_on(async {
        for code in TRACES {
            let _ended = sandbox.run(job(code), NoHost).await;
            assert_same(first, &pages(&sandbox.run(checksums(), NoHost).await), code);
        }
    });
}

/// A descriptor of the parent's page map lists the parent's pages, not the child's.
#[test]
fn tasks_of_a_forked_process_start_with_the_same_memory() {
    own_process::run(
        concat!(module_path!(), "::tasks_of_a_forked_process_start_with_the_same_memory"),
        || {
            let sandbox = Sandbox::builder().slots(1).build().unwrap();
            let first = pages(&runtime().block_on(sandbox.run(checksums(), NoHost)));
            // SAFETY: no other thread of this process holds a lock.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let checked = panic::catch_unwind(AssertUnwindSafe(|| check(&sandbox, &first)));
                // SAFETY: it ends the process without destructors of the parent's objects.
                unsafe { libc::_exit(i32::from(checked.is_err())) };
            }
            check(&sandbox, &first);
            let mut status = -1;
            // SAFETY: `status` is a valid place for the child's status.
            let waited = unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!((waited, status), (child, 0), "the child failed; see above");
        },
    );
}
