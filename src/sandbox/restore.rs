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
    ops::Range,
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
    abi::MEMORY_EXPORT, engine::KEEP_RESIDENT, image_data::ImageData, pages::FaultAroundSuppressor,
    state::GuestState,
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

/// The kernel's answer to a scan.
struct Scan {
    /// The written regions, in ascending order. Unused entries are zero.
    regions: [PageRegion; MAX_REGIONS],
    /// Address up to which the scan went: not the end, where more regions or pages are written than
    /// fit.
    walk_end: u64,
}

impl Scan {
    /// Returns the written regions as offsets into the memory at `start`, and the number of bytes
    /// that the scan covered.
    ///
    /// `None` if the answer does not describe this memory. A guess would leave a task's bytes to
    /// the next task.
    fn written(&self, start: u64, len: usize) -> Option<(Vec<Range<usize>>, usize)> {
        let offset = |address: u64| usize::try_from(address.checked_sub(start)?).ok();
        let covered = offset(self.walk_end).filter(|&covered| covered <= len)?;
        let mut written = Vec::with_capacity(MAX_REGIONS);
        let mut last = 0;
        for region in self.regions.iter().filter(|region| (region.start, region.end) != (0, 0)) {
            let range = offset(region.start)?..offset(region.end)?;
            if range.start < last || range.is_empty() || range.end > covered {
                return None;
            }
            last = range.end;
            written.push(range);
        }
        Some((written, covered))
    }
}

/// Memory of a pool whose pages stay mapped from one task of a slot to the next.
pub(crate) struct PoolMemory {
    pub suppressor: FaultAroundSuppressor,
    pub reset: MemoryReset,
}

impl PoolMemory {
    /// Prepares the memory of a slot for its first instance.
    pub(crate) fn add(&self, memory: &[u8]) {
        self.suppressor.add(memory);
    }

    /// Resets an instance's memory to the state before anything ran in it.
    pub(crate) fn restore(&self, memory: &mut [u8]) {
        self.reset.restore(memory);
    }

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
    /// The bytes from which wasmtime resets the same pages right after.
    data: Option<ImageData>,
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
        let memory = unsafe { &*pristine };
        suppressor.add(memory);
        let data = ImageData::new(image.module(), memory);
        let pagemap = File::open("/proc/self/pagemap")?;
        Ok(Self { pristine, data, pagemap, process: std::process::id(), _store: Mutex::new(store) })
    }

    #[cfg(test)]
    pub(crate) fn data(&self) -> Option<&ImageData> {
        self.data.as_ref()
    }

    /// Resets an instance's memory to the state before anything ran in it.
    pub(crate) fn restore(&self, memory: &mut [u8]) {
        // After a fork the descriptor still reports the parent's pages.
        let is_same_process = std::process::id() == self.process;
        let scan = if is_same_process { self.scan(memory).ok() } else { None };
        self.restore_as(memory, scan.as_ref());
    }

    /// Resets memory as a scan reported it. Without a usable scan all of it goes back to the
    /// kernel.
    fn restore_as(&self, memory: &mut [u8], scan: Option<&Scan>) {
        let start = memory.as_ptr().addr() as u64;
        let written = scan.and_then(|scan| scan.written(start, memory.len()));
        let (regions, scanned) = written.unwrap_or_default();
        for region in regions {
            self.copy_to(memory, region);
        }
        let Some(rest) = memory.get_mut(scanned..).filter(|rest| !rest.is_empty()) else { return };
        // SAFETY: `rest` is whole pages of the instance's own memory, and nothing borrows them. The
        // kernel maps the image or zeroes there on the next access.
        let given_back =
            unsafe { madvise(rest.as_mut_ptr().cast(), rest.len(), Advice::LinuxDontNeed) };
        if given_back.is_err() {
            self.copy_to(memory, scanned..memory.len());
        }
    }

    /// Finds the written regions.
    fn scan(&self, memory: &[u8]) -> rustix::io::Result<Scan> {
        let mut regions = [PageRegion::default(); MAX_REGIONS];
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
        Ok(Scan { regions, walk_end: scan.walk_end })
    }

    /// Resets a range of bytes by copying. Memory beyond the image becomes zero.
    fn copy_to(&self, memory: &mut [u8], Range { start: from, end: to }: Range<usize>) {
        // SAFETY: the store lives, and nothing runs in it: its memory neither changes nor grows.
        let pristine = unsafe { &*self.pristine };
        let image_end = to.min(pristine.len()).max(from);
        if let (Some(written), Some(image)) =
            (memory.get_mut(from..image_end), pristine.get(from..image_end))
        {
            match &self.data {
                Some(data) => data.copy(from, written, image),
                None => written.copy_from_slice(image),
            }
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
    use crate::sandbox::{NoHost, Program, Sandbox};

    const START: u64 = 0x10_0000;
    const LEN: usize = 0x8000;

    fn answer(walk_end: u64, written: &[(u64, u64)]) -> Scan {
        let mut regions = [PageRegion::default(); MAX_REGIONS];
        for (region, &(start, end)) in regions.iter_mut().zip(written) {
            *region = PageRegion { start, end, categories: 0 };
        }
        Scan { regions, walk_end }
    }

    #[test]
    fn an_answer_about_this_memory_is_used() {
        let all = START + LEN as u64;
        assert_eq!(answer(all, &[]).written(START, LEN), Some((vec![], LEN)));
        let two = answer(all, &[(START, START + 0x1000), (all - 0x1000, all)]);
        assert_eq!(two.written(START, LEN), Some((vec![0..0x1000, LEN - 0x1000..LEN], LEN)));
        let part =
            answer(START + 0x3000, &[(START, START + 0x1000), (START + 0x2000, START + 0x3000)]);
        assert_eq!(part.written(START, LEN), Some((vec![0..0x1000, 0x2000..0x3000], 0x3000)));
    }

    /// Answers that no correct kernel gives for the memory at [`START`].
    fn wrong_answers(start: u64, len: u64) -> Vec<Scan> {
        let end = start + len;
        vec![
            answer(0, &[]),
            answer(start - 1, &[]),
            answer(end + 1, &[]),
            answer(u64::MAX, &[]),
            answer(end, &[(start - 0x1000, start)]),
            answer(end, &[(end - 0x1000, end + 0x1000)]),
            answer(end, &[(start + 0x2000, start + 0x1000)]),
            answer(end, &[(start + 0x1000, start + 0x1000)]),
            answer(end, &[(start + 0x2000, start + 0x3000), (start, start + 0x1000)]),
            answer(end, &[(start, start + 0x2000), (start + 0x1000, start + 0x3000)]),
            answer(start + 0x1000, &[(start, start + 0x2000)]),
            answer(end, &[(0, start)]),
            answer(end, &[(start, u64::MAX)]),
        ]
    }

    #[test]
    fn an_answer_about_other_memory_is_not_used() {
        for scan in wrong_answers(START, LEN as u64) {
            assert_eq!(scan.written(START, LEN), None, "{:x}", scan.walk_end);
        }
    }

    #[tokio::test]
    async fn all_memory_goes_back_after_a_wrong_answer() {
        let sandbox = Sandbox::builder().slots(1).build().unwrap();
        // Without `PAGEMAP_SCAN` there is no answer.
        let Some(pool) = sandbox.pool_memory() else { return };
        let first = sandbox.prepare().await.unwrap().memory().to_vec();
        let wrong =
            |memory: &[u8]| wrong_answers(memory.as_ptr().addr() as u64, first.len() as u64);
        for number in 0..wrong(&first).len() {
            let job = Program::new("import json\nreturn 1").into();
            let mut finished = sandbox.run_in(None, job, Arc::new(NoHost)).await.1.unwrap();
            let memory = finished.memory();
            assert!(memory[..first.len()] != first, "the task wrote something");
            let scan = &wrong(memory)[number];
            pool.reset.restore_as(memory, Some(scan));
            assert!(memory[..first.len()] == first, "answer {number}");
        }
    }
}
