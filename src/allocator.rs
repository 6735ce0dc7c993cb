//! A global allocator that backs large blocks with huge pages.
//!
//! A message of 50 MB passes through a dozen buffers on its way to a task and back. With pages of 4
//! KiB each buffer costs 12,000 page faults, together more than a third of the message's time. With
//! [transparent huge pages] of 2 MiB it costs 25. Measurements: docs/benchmarks.md, "Gains".
//!
//! [transparent huge pages]: https://docs.kernel.org/admin-guide/mm/transhuge.html

use std::alloc::{GlobalAlloc, Layout, System};

use crate::platform::memory::{advise_huge_pages, page_size};

/// Bytes from which a block gets the advice: the size of one huge page on x86-64 and Arm.
const LARGE: usize = 2 << 20;

/// The system's allocator, with `MADV_HUGEPAGE` for blocks of 2 MiB or more on Linux.
///
/// The advice has no effect if huge pages are off
/// (`/sys/kernel/mm/transparent_hugepage/enabled`).
///
/// The `serpentarium` binary uses it. A program that embeds the library and moves large values can
/// use it, too:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: serpentarium::allocator::LargePages = serpentarium::allocator::LargePages;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LargePages;

// SAFETY: the system's allocator makes and frees every block, with the caller's layout. Advice
// changes neither the content nor the address of a block.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `GlobalAlloc::alloc`.
        advised(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        advised(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above. `System` made the block.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above. `System` made the block.
        advised(unsafe { System.realloc(block, layout, size) }, size)
    }
}

/// Advises huge pages for every page that the block touches, and returns the block. Whole pages
/// keep the mapping of a block in one piece, so `realloc` can still move it with `mremap(2)`.
fn advised(block: *mut u8, size: usize) -> *mut u8 {
    if size >= LARGE && !block.is_null() {
        let before = block.addr() % page_size();
        // SAFETY: the pages are those of the block.
        unsafe { advise_huge_pages(block.wrapping_sub(before), before + size, true) };
    }
    block
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Returns the `VmFlags` of an address's mapping (proc_pid_smaps(5)).
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
            let bounds = range.and_then(|(begin, end)| {
                Some(usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
            });
            match bounds {
                Some(bounds) => inside = bounds.contains(&address),
                None if inside && line.starts_with("VmFlags:") => return line.into(),
                None => {}
            }
        }
        panic!("{address:x} is not mapped");
    }

    #[test]
    fn a_large_block_keeps_its_content_and_its_large_pages() {
        let (small, large) = (
            Layout::from_size_align(4 << 20, 1).unwrap(),
            Layout::from_size_align(64 << 20, 1).unwrap(),
        );
        // SAFETY: no size is zero. The test uses each block within its size, and frees it with its
        // own layout.
        unsafe {
            let block = LargePages.alloc(small);
            assert!(flags(block.addr() + small.size() / 2).contains(" hg"));
            block.write_bytes(7, small.size());
            let block = LargePages.realloc(block, small, large.size());
            assert!(flags(block.addr() + large.size() / 2).contains(" hg"));
            assert!(std::slice::from_raw_parts(block, small.size()).iter().all(|byte| *byte == 7));
            LargePages.dealloc(block, large);
        }
    }
}
