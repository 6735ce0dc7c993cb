//! Resets the memory of a finished instance before wasmtime does.
//!
//! wasmtime's pool resets the pages that [`PAGEMAP_SCAN`] reports as written and present. A page in
//! swap, or one that the kernel is migrating, is not present. wasmtime does not reset it, and the
//! slot's next task could read it. So this module first resets all written pages, present or not.
//! wasmtime then finds nothing left to reset.
//!
//! wasmtime fixes the same fault in 50.0 (bytecodealliance/wasmtime#14357). Remove this module with
//! the next LTS (60).
//!
//! [`PAGEMAP_SCAN`]: https://docs.kernel.org/admin-guide/mm/pagemap.html

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

use super::{
    abi::MEMORY_EXPORT, engine::KEEP_RESIDENT, pages::FaultAroundSuppressor, state::GuestState,
};

/// Regions that one scan returns, as in wasmtime. The memory behind the last one goes back to the
/// kernel.
const MAX_REGIONS: usize = 32;

// `linux/fs.h`.
const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
/// In swap, on its way there, or under migration.
const PAGE_IS_SWAPPED: u64 = 1 << 4;
/// The shared page of zeroes.
const PAGE_IS_PFNZERO: u64 = 1 << 5;

const PAGEMAP_SCAN: Opcode = opcode::read_write::<PmScanArg>(b'f', 16);

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// Memory of a pool whose pages stay mapped from one task of a slot to the next.
pub(crate) struct PoolMemory {
    pub suppressor: FaultAroundSuppressor,
    pub reset: MemoryReset,
}

impl PoolMemory {
    /// Occupies one slot of the pool permanently.
    pub(crate) fn new(image: &InstancePre<GuestState>) -> wasmtime::Result<Self> {
        let suppressor = FaultAroundSuppressor::new();
        // The kernel may refuse to seal the image's memory; see `Sandbox::ready_instance`.
        let reset = MemoryReset::new(image, &suppressor)
            .or_else(|_| MemoryReset::new(image, &suppressor))?;
        Ok(Self { suppressor, reset })
    }
}

/// Copies pages from an instance in which nothing ever runs.
pub(crate) struct MemoryReset {
    /// The memory of that instance.
    pristine: *const [u8],
    /// `/proc/self/pagemap`.
    pagemap: File,
    /// The process that opened it.
    process: u32,
    /// Owns `pristine`.
    _store: Mutex<Store<GuestState>>,
}

// SAFETY: `pristine` is only read, and nothing writes to it. All other fields are `Send`.
unsafe impl Send for MemoryReset {}
// SAFETY: as above; `File` and `Mutex` are `Sync`.
unsafe impl Sync for MemoryReset {}

impl MemoryReset {
    fn new(
        image: &InstancePre<GuestState>,
        suppressor: &FaultAroundSuppressor,
    ) -> wasmtime::Result<Self> {
        let mut store = Store::new(image.module().engine(), GuestState::idle());
        // The image has no start function, so one poll completes the instantiation.
        let instance =
            pin!(image.instantiate_async(&mut store)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(instance) = instance else {
            return Err(wasmtime::format_err!("the instantiation of the image pends"));
        };
        let instance = instance?;
        let memory = instance
            .get_memory(&mut store, MEMORY_EXPORT)
            .ok_or_else(|| wasmtime::format_err!("the image exports no memory"))?;
        let pristine: *const [u8] = memory.data(&store);
        // SAFETY: the store owns the memory and lives.
        suppressor.add(unsafe { &*pristine });
        let pagemap = File::open("/proc/self/pagemap")?;
        Ok(Self { pristine, pagemap, process: std::process::id(), _store: Mutex::new(store) })
    }

    /// Resets an instance's memory to the state before anything ran in it.
    pub(crate) fn restore(&self, memory: &mut [u8]) {
        let start = memory.as_ptr().addr();
        let mut regions = [PageRegion::default(); MAX_REGIONS];
        // After a fork the descriptor still reports the parent's pages.
        let is_same_process = std::process::id() == self.process;
        let scanned =
            if is_same_process { self.scan(memory, &mut regions).unwrap_or(0) } else { 0 };
        for region in regions.iter().filter(|region| region.end > 0) {
            self.copy_to(memory, region.start as usize - start, region.end as usize - start);
        }
        let Some(rest) = memory.get_mut(scanned..).filter(|rest| !rest.is_empty()) else { return };
        // SAFETY: `rest` is whole pages of the instance's own memory, and nothing borrows them. The
        // kernel maps the image or zeroes there on the next access.
        let given_back =
            unsafe { madvise(rest.as_mut_ptr().cast(), rest.len(), Advice::LinuxDontNeed) };
        if given_back.is_err() {
            self.copy_to(memory, scanned, memory.len());
        }
    }

    /// Finds the written regions. Returns the number of bytes that the scan covered: not all, where
    /// more regions or pages are written than fit.
    fn scan(
        &self,
        memory: &[u8],
        regions: &mut [PageRegion; MAX_REGIONS],
    ) -> rustix::io::Result<usize> {
        let start = memory.as_ptr().addr() as u64;
        let mut scan = PmScanArg {
            size: size_of::<PmScanArg>() as u64,
            flags: 0,
            start,
            end: start + memory.len() as u64,
            walk_end: 0,
            vec: regions.as_mut_ptr().expose_provenance() as u64,
            vec_len: MAX_REGIONS as u64,
            max_pages: (KEEP_RESIDENT / page_size()) as u64,
            // Written, and neither a page of the image's file nor the page of zeroes.
            category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_mask: PAGE_IS_WRITTEN | PAGE_IS_FILE | PAGE_IS_PFNZERO,
            // The kernel reports a page that was never touched as written, but as neither of these.
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: 0,
        };
        // SAFETY: `PmScanArg` is the argument of this ioctl. It writes at most `vec_len` regions to
        // `vec`.
        unsafe { ioctl(&self.pagemap, Updater::<PAGEMAP_SCAN, _>::new(&mut scan)) }?;
        Ok((scan.walk_end - start) as usize)
    }

    /// Resets the bytes `from..to` by copying. Memory beyond the image becomes zero.
    fn copy_to(&self, memory: &mut [u8], from: usize, to: usize) {
        // SAFETY: the store lives, and nothing runs in it: its memory neither changes nor grows.
        let pristine = unsafe { &*self.pristine };
        let image_end = to.min(pristine.len()).max(from);
        if let (Some(written), Some(image)) =
            (memory.get_mut(from..image_end), pristine.get(from..image_end))
        {
            written.copy_from_slice(image);
        }
        if let Some(written) = memory.get_mut(image_end..to) {
            written.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sandbox::{NoHost, Program, Sandbox, instance::FinishedInstance};

    fn sandbox() -> Sandbox {
        Sandbox::builder().slots(1).build().unwrap()
    }

    async fn finished(code: &str, sandbox: &Sandbox) -> FinishedInstance {
        sandbox.run_in(None, Program::new(code).into(), Arc::new(NoHost)).await.1.unwrap()
    }

    /// Returns the number of pages of memory that differ from the image.
    fn changed(memory: &[u8], pool: &PoolMemory) -> usize {
        // SAFETY: nothing runs in that instance.
        let pristine = unsafe { &*pool.reset.pristine };
        let (image, beyond) = memory.split_at(pristine.len());
        let changed = image
            .chunks(4096)
            .zip(pristine.chunks(4096))
            .filter(|(one, other)| one != other)
            .count();
        changed + beyond.chunks(4096).filter(|page| page.iter().any(|byte| *byte != 0)).count()
    }

    /// Returns the number of changed pages after a task and a reset.
    async fn left_by(code: &str) -> usize {
        let sandbox = sandbox();
        // Without `PAGEMAP_SCAN` all memory goes back to the kernel, and there is no reset.
        let Some(pool) = sandbox.pool_memory() else { return 0 };
        let mut finished = finished(code, &sandbox).await;
        let memory = finished.memory();
        assert!(changed(memory, &pool) > 0, "the task wrote something");
        pool.reset.restore(memory);
        changed(memory, &pool)
    }

    /// On a machine with swap, `MADV_PAGEOUT` moves the pages there before the instance is dropped.
    #[tokio::test]
    async fn nothing_is_left_of_a_task_whose_memory_is_in_swap() {
        let sandbox = sandbox();
        let Some(pool) = sandbox.pool_memory() else { return };
        let mut finished = finished("return 1", &sandbox).await;
        let memory = finished.memory();
        // SAFETY: the advice does not change what memory holds.
        let _refused =
            unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), Advice::LinuxPageOut) };
        drop(finished);
        let mut ready = sandbox.prepare().await.unwrap();
        assert_eq!(changed(ready.memory(), &pool), 0);
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
