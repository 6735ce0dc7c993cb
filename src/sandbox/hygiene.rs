//! Tests that nothing of a task is left for the next one: after each program, all memory of the
//! slot's next instance equals the memory of a first one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::mm::{Advice, madvise};

use super::{
    Job, Limits, NoHost, Program, Sandbox, SandboxBuilder,
    instance::{FinishedInstance, ReadyInstance},
};

/// Python that makes `memory`, a `bytearray` over all of linear memory, and `pages`, the offsets of
/// the pages of the image.
const ALL_OF_MEMORY: &str = include_str!("../../tests/fixtures/all_of_memory.py");

/// Programs that write to many places, or end in unusual ways.
const PROGRAMS: &[(&str, &str)] = &[
    ("returns", "return 1 + 2"),
    ("raises", "1 / 0"),
    ("imports much", "import json, re, datetime, decimal, asyncio, email.message, http.client"),
    ("exits", "import posix\nposix._exit(3)"),
    ("recurses in C", "x = []\nfor _ in range(100_000): x = [x]\nreturn repr(x)"),
    ("grows", "x = [bytes([n % 256]) * 1_000_000 for n in range(60)]\nreturn len(x)"),
    ("runs out of memory", "x = []\nwhile True: x.append(bytes(1 << 20))"),
    ("runs out of fuel", "x = {}\nwhile True: x[len(x)] = str(len(x))"),
    (
        "prints much",
        "import sys\nfor _ in range(2000): print('x' * 1000); sys.stderr.write('y' * 99)",
    ),
    ("prints too much", "import os\nwhile True: os.write(1, b'x' * (1 << 20))"),
    (
        "calls",
        "import _host\nfor _ in range(100):\n try: _host.call('nobody', '[1]')\n except _host.CallError: pass",
    ),
    (
        "patches modules",
        "import builtins, sys, json\nbuiltins.len = None\njson.dumps = None\nsys.modules.clear()",
    ),
    ("interns", "import sys\nkeep = [sys.intern(f'name{n}') for n in range(50_000)]"),
    (
        "spoils the allocator",
        "import gc\ngc.disable()\nx = []\nx.append(x)\ny = [object() for _ in range(99_999)]\ndel y[::2]",
    ),
    ("compiles", "for n in range(300): exec(f'def f{n}(a, b={n}): return a + b + {n}')"),
];

/// Programs after [`ALL_OF_MEMORY`].
const WRITERS: &[(&str, &str)] = &[
    ("writes one page of three", "for page in pages[1000::3]: memory[page] = 90"),
    ("writes all from above", "for page in reversed(pages): memory[page + 99] ^= 255"),
    ("writes all from below", "for page in pages: memory[page + 2048] ^= 255"),
    ("spoils the stack", "memory[4096:60_000] = bytes(60_000 - 4096)"),
    ("spoils its own objects", "memory[id(pages):id(pages) + 64] = b'S' * 64\nreturn pages"),
];

/// Ways in which an instance's memory is reset.
#[derive(Debug, Clone, Copy)]
enum Reset {
    /// The kernel lists the written pages.
    Scan,
    /// As on a kernel before Linux 6.7: all pages go back to it.
    NoScan,
    /// Each instance maps its own memory.
    Unpooled,
}

impl Reset {
    fn sandbox(self) -> Sandbox {
        let builder = Sandbox::builder().slots(1);
        let builder: SandboxBuilder = match self {
            Self::Scan => builder,
            Self::NoScan => builder.without_pagemap_scan(),
            Self::Unpooled => builder.pooled(false),
        };
        builder.build().unwrap()
    }
}

/// A sandbox with one slot, and the memory of its first instance.
struct Slot {
    sandbox: Sandbox,
    first: Vec<u8>,
}

impl Slot {
    async fn new(reset: Reset) -> Self {
        let sandbox = reset.sandbox();
        let first = ready(&sandbox).await.memory().to_vec();
        Self { sandbox, first }
    }

    /// Fails if the next instance differs from the first one.
    async fn check(&self, after: &str) {
        let mut next = ready(&self.sandbox).await;
        let memory = next.memory();
        assert_eq!(memory.len(), self.first.len(), "after a task that {after}");
        let pages = memory.chunks(4096).zip(self.first.chunks(4096)).enumerate();
        let changed: Vec<_> =
            pages.filter(|(_, (page, first))| page != first).map(|(page, _)| page).collect();
        assert_eq!(changed, [0; 0], "pages left by a task that {after}");
    }

    async fn finish(&self, job: Job) -> FinishedInstance {
        self.sandbox.run_in(None, job, Arc::new(NoHost)).await.1.unwrap()
    }
}

/// Returns the next instance. Waits for the slot: a large instance is reset on another thread.
async fn ready(sandbox: &Sandbox) -> ReadyInstance {
    let prepare = async {
        loop {
            match sandbox.prepare().await {
                Some(ready) => return ready,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), prepare).await.expect("the only slot gets free")
}

fn limited(code: impl Into<String>) -> Job {
    let limits = Limits {
        fuel: 3_000_000_000,
        time: Duration::from_secs(20),
        memory: 128 << 20,
        ..Limits::default()
    };
    Program::new(code.into()).limits(limits).into()
}

/// Returns all programs with their names.
fn programs() -> impl Iterator<Item = (&'static str, String)> {
    let plain = PROGRAMS.iter().map(|(name, code)| (*name, (*code).to_owned()));
    let writers = WRITERS.iter().map(|(name, code)| (*name, format!("{ALL_OF_MEMORY}{code}")));
    plain.chain(writers)
}

async fn nothing_is_left(reset: Reset) {
    let slot = Slot::new(reset).await;
    for (name, code) in programs() {
        drop(slot.finish(limited(code)).await);
        slot.check(name).await;
    }
}

#[tokio::test]
async fn the_writers_reach_all_of_memory() {
    let slot = Slot::new(Reset::Scan).await;
    let code = format!(
        "{ALL_OF_MEMORY}return [len(memory), bytes(memory[id(fake) + 20:id(fake) + 40]) == fake[4:24]]"
    );
    let (outcome, finished) = slot.sandbox.run_in(None, limited(code), Arc::new(NoHost)).await;
    drop(finished);
    let reply = String::from_utf8(outcome.stdout).unwrap();
    assert!(reply.contains("[2147418112,true]"), "{:?} {reply} {}", outcome.exit, outcome.stderr);
    for (name, code) in WRITERS.iter().filter(|(name, _)| name.starts_with("writes")) {
        let mut finished = slot.finish(limited(format!("{ALL_OF_MEMORY}{code}"))).await;
        let memory = finished.memory();
        let pages = memory.chunks(4096).zip(slot.first.chunks(4096));
        let changed = pages.filter(|(page, first)| page != first).count();
        assert!(changed > 100, "a task that {name} changed {changed} pages");
    }
}

#[tokio::test]
async fn nothing_is_left_of_hostile_tasks() {
    nothing_is_left(Reset::Scan).await;
}

/// wasmtime resets again when an instance is dropped, and would hide a page that is missing here.
#[tokio::test]
async fn nothing_is_left_before_wasmtime_resets() {
    let slot = Slot::new(Reset::Scan).await;
    // Without the scan, wasmtime alone resets.
    let Some(pool) = slot.sandbox.pool_memory() else { return };
    for (name, code) in programs() {
        let mut finished = slot.finish(limited(code)).await;
        let memory = finished.memory();
        pool.reset.restore(memory);
        let (image, grown) = memory.split_at(slot.first.len());
        assert!(image == slot.first, "a task that {name} left bytes in the image");
        assert!(grown.iter().all(|&byte| byte == 0), "a task that {name} left bytes behind it");
    }
}

#[tokio::test]
async fn nothing_is_left_on_a_kernel_without_the_scan() {
    nothing_is_left(Reset::NoScan).await;
}

#[tokio::test]
async fn nothing_is_left_without_a_pool() {
    nothing_is_left(Reset::Unpooled).await;
}

/// Swap and compaction move pages while a task runs and before its instance is reset. Without swap
/// or privilege the kernel refuses; the test then repeats the plain one.
#[tokio::test]
async fn nothing_is_left_of_pages_that_the_kernel_moved() {
    let slot = Slot::new(Reset::Scan).await;
    for (name, code) in programs() {
        let mut ready = ready(&slot.sandbox).await;
        let moved = MovedPages::new(ready.memory());
        let run = slot.sandbox.run_in(Some(ready), limited(code), Arc::new(NoHost));
        let finished = run.await.1;
        moved.stop();
        drop(finished);
        slot.check(name).await;
    }
}

/// A thread that makes the kernel move pages of a slot.
struct MovedPages {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl MovedPages {
    fn new(memory: &[u8]) -> Self {
        let (address, length) = (memory.as_ptr().addr(), memory.len());
        let stopped = Arc::<AtomicBool>::default();
        let is_stopped = stopped.clone();
        let thread = std::thread::spawn(move || {
            while !is_stopped.load(Ordering::Relaxed) {
                let memory = std::ptr::without_provenance_mut(address);
                // SAFETY: the slot stays mapped. The advice does not change what memory holds.
                let _refused = unsafe { madvise(memory, length, Advice::LinuxPageOut) };
                let _denied = std::fs::write("/proc/sys/vm/compact_memory", "1");
            }
        });
        Self { stopped, thread }
    }

    fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// A cancellation drops the task's future at any point.
#[tokio::test]
async fn nothing_is_left_of_tasks_that_are_dropped() {
    let slot = Slot::new(Reset::Scan).await;
    for (name, code) in programs() {
        for milliseconds in [0, 1, 7, 40] {
            let run = slot.sandbox.run_in(None, limited(code.clone()), Arc::new(NoHost));
            drop(tokio::time::timeout(Duration::from_millis(milliseconds), run).await);
            slot.check(name).await;
        }
    }
}
