//! What a finished instance wrote is put right here, and not left to wasmtime alone.
//!
//! wasmtime asks the kernel which pages were written and are present (`PAGEMAP_SCAN`), and puts those right. A page that is in
//! swap, on its way there, or that the kernel is just moving elsewhere is not present: it would keep what one task left, for the
//! next one to read. So all written pages are put right before, present or not. What wasmtime does not see then is right already.

use std::{
    fs::File,
    future::Future,
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use rustix::{
    ioctl::{Opcode, Updater, ioctl, opcode},
    mm::{Advice, madvise},
    param::page_size,
};
use wasmtime::{InstancePre, Store};

use super::{engine::KEEP_RESIDENT, pages::SinglePages, state::State};

/// Pieces of memory that are put right in place, as in wasmtime; with more of them, the rest is given back to the kernel.
const PIECES: usize = 32;

/// `PAGE_IS_*` of `linux/fs.h`.
const WRITTEN: u64 = 1 << 1;
const OF_A_FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
/// In swap, on its way, or being moved.
const SWAPPED: u64 = 1 << 4;
const ZERO: u64 = 1 << 5;

const SCAN: Opcode = opcode::read_write::<Scan>(b'f', 16);

/// `struct pm_scan_arg`.
#[repr(C)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    pieces: u64,
    pieces_length: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Piece {
    start: u64,
    end: u64,
    categories: u64,
}

/// The memory of an instance in which nothing ever runs.
pub(crate) struct Pristine {
    memory: *const [u8],
    /// Of this process.
    pagemap: File,
    process: u32,
    /// Whose memory that is.
    _store: Mutex<Store<State>>,
}

// SAFETY: the memory is only read, by whatever thread; all else can be sent anyhow.
unsafe impl Send for Pristine {}
// SAFETY: as above.
unsafe impl Sync for Pristine {}

impl Pristine {
    /// Takes a place of the pool for good.
    pub(super) fn new(image: &InstancePre<State>, pages: &SinglePages) -> wasmtime::Result<Self> {
        let mut store = Store::new(image.module().engine(), State::idle());
        // No code runs, so there is nothing to wait for.
        let instance =
            pin!(image.instantiate_async(&mut store)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(instance) = instance else {
            return Err(wasmtime::format_err!("an instance waits for something"));
        };
        let instance = instance?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::format_err!("no memory"))?;
        let memory: *const [u8] = memory.data(&store);
        // SAFETY: the store is there.
        pages.add(unsafe { &*memory });
        let pagemap = File::open("/proc/self/pagemap")?;
        Ok(Self { memory, pagemap, process: std::process::id(), _store: Mutex::new(store) })
    }

    /// Makes an instance's memory what it was before anything ran in it.
    pub(super) fn restore(&self, memory: &mut [u8]) {
        let start = memory.as_ptr().addr();
        let mut pieces = [Piece::default(); PIECES];
        // Where the kernel does not say, or would say it of the process that this one was forked from, all is given back.
        let is_here = std::process::id() == self.process;
        let walked = if is_here { self.find_written(memory, &mut pieces).unwrap_or(0) } else { 0 };
        for piece in pieces.iter().filter(|piece| piece.end > 0) {
            self.copy_to(memory, piece.start as usize - start, piece.end as usize - start);
        }
        let Some(rest) = memory.get_mut(walked..).filter(|rest| !rest.is_empty()) else { return };
        // SAFETY: the memory is the instance's own, whole pages of it, and nobody holds a part of it; what the kernel puts there
        // next time is the image, or nothing.
        let given_back =
            unsafe { madvise(rest.as_mut_ptr().cast(), rest.len(), Advice::LinuxDontNeed) };
        if given_back.is_err() {
            self.copy_to(memory, walked, memory.len());
        }
    }

    /// Finds the written pieces of memory. Returns how far it was looked at: not to its end, where more was written than is kept.
    fn find_written(
        &self,
        memory: &[u8],
        pieces: &mut [Piece; PIECES],
    ) -> rustix::io::Result<usize> {
        let start = memory.as_ptr().addr() as u64;
        let mut scan = Scan {
            size: size_of::<Scan>() as u64,
            flags: 0,
            start,
            end: start + memory.len() as u64,
            walk_end: 0,
            pieces: pieces.as_mut_ptr().expose_provenance() as u64,
            pieces_length: PIECES as u64,
            max_pages: (KEEP_RESIDENT / page_size()) as u64,
            category_inverted: OF_A_FILE | ZERO,
            category_mask: WRITTEN | OF_A_FILE | ZERO,
            // A page that was never touched counts as written, too.
            category_anyof_mask: PRESENT | SWAPPED,
            return_mask: 0,
        };
        // SAFETY: the structure is the one that this request takes; as many pieces are written as there is room for.
        unsafe { ioctl(&self.pagemap, Updater::<SCAN, _>::new(&mut scan)) }?;
        Ok((scan.walk_end - start) as usize)
    }

    fn copy_to(&self, memory: &mut [u8], from: usize, to: usize) {
        // SAFETY: the store is there, and nothing runs in it: its memory neither changes nor grows.
        let pristine = unsafe { &*self.memory };
        let known = to.min(pristine.len()).max(from);
        if let (Some(written), Some(before)) =
            (memory.get_mut(from..known), pristine.get(from..known))
        {
            written.copy_from_slice(before);
        }
        if let Some(written) = memory.get_mut(known..to) {
            written.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustix::mm::{Advice, madvise};

    use super::super::{Job, Kept, Limits, NoHost, Remains, Sandbox, SandboxConfig};
    use crate::protocol::{NodeMode, TaskSettings};

    fn sandbox() -> Sandbox {
        Sandbox::new(SandboxConfig { slots: 1 }).unwrap()
    }

    async fn remains_of(code: &str, sandbox: &Sandbox) -> Remains {
        let items = serde_json::value::RawValue::from_string("[]".into()).unwrap();
        let input = TaskSettings::new(code, NodeMode::AllItems, items).to_input().unwrap();
        let job = Job { input, limits: Limits::default(), deterministic: None };
        sandbox.run_in(None, job, Arc::new(NoHost)).await.1.unwrap()
    }

    /// Pages of memory that are not those of the image.
    fn changed(memory: &[u8], kept: &Kept) -> usize {
        let (known, beyond) = memory.split_at(kept.pristine.memory.len());
        // SAFETY: nothing runs in that instance.
        let pristine = unsafe { &*kept.pristine.memory };
        let changed = known
            .chunks(4096)
            .zip(pristine.chunks(4096))
            .filter(|(one, other)| one != other)
            .count();
        changed + beyond.chunks(4096).filter(|page| page.iter().any(|byte| *byte != 0)).count()
    }

    /// Pages of a finished task's memory that are not what they were before, once they were put right.
    async fn left_by(code: &str) -> usize {
        let sandbox = sandbox();
        // Without the means for it, there is nothing to put right: all of it goes back to the kernel.
        let Some(kept) = sandbox.kept.clone() else { return 0 };
        let mut remains = remains_of(code, &sandbox).await;
        let memory = remains.memory();
        assert!(changed(memory, &kept) > 0, "the task wrote something");
        kept.pristine.restore(memory);
        changed(memory, &kept)
    }

    /// Where there is swap, that is where the task's pages are when it is cleared away.
    #[tokio::test]
    async fn nothing_is_left_of_a_task_whose_memory_is_in_swap() {
        let sandbox = sandbox();
        let Some(kept) = sandbox.kept.clone() else { return };
        let mut remains = remains_of("return 1", &sandbox).await;
        let memory = remains.memory();
        // SAFETY: what memory holds stays the same, wherever it is.
        let _refused =
            unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), Advice::LinuxPageOut) };
        drop(remains);
        let mut fresh = sandbox.prepare().await.unwrap();
        assert_eq!(changed(fresh.memory(), &kept), 0);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_task_that_wrote_little() {
        assert_eq!(left_by("return 1 + 2").await, 0);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_task_that_wrote_in_many_places() {
        assert_eq!(left_by("import json, re, datetime, decimal, asyncio, email.message").await, 0);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_task_whose_memory_grew() {
        assert_eq!(
            left_by("x = [bytes([n % 256]) * 1_000_000 for n in range(60)]\nreturn len(x)").await,
            0
        );
    }
}
