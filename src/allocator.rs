//! Large pages for large blocks of memory.
//!
//! A message of 50 MB lies in a dozen buffers on its way to a task and back. In pages of 4 KiB each
//! of them costs 12,000 page faults, together more than a third of the time that the message takes
//! (docs/benchmarks.md, "What paid"); in pages of 2 MiB, 25.

use std::alloc::{GlobalAlloc, Layout, System};

use rustix::{
    mm::{Advice, madvise},
    param::page_size,
};

/// Bytes from which a block is worth it: a large page itself.
const LARGE: usize = 2 << 20;

/// The system's allocator, which asks the kernel for large pages where a block is of 2 MiB or more.
/// Where those are switched off (`/sys/kernel/mm/transparent_hugepage/enabled`), blocks are as
/// without it.
///
/// The `serpentarium` binary uses it. A program that embeds the library, and moves large items, may
/// do so too:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: serpentarium::allocator::LargePages = serpentarium::allocator::LargePages;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LargePages;

// SAFETY: every block comes from the system's allocator and goes back to it, with the caller's
// layout; advice changes neither what a block holds nor where it lies.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the same one.
        advised(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        advised(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; the block came from there.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; the block came from there.
        advised(unsafe { System.realloc(block, layout, size) }, size)
    }
}

/// The block, with advice on all pages that it touches: a block that is a mapping of its own stays
/// one that can be moved.
fn advised(block: *mut u8, size: usize) -> *mut u8 {
    if size >= LARGE && !block.is_null() {
        let before = block.addr() % page_size();
        // What is refused stays as it was.
        // SAFETY: the pages are mapped, and hold what they held.
        let _refused = unsafe {
            madvise(block.wrapping_sub(before).cast(), before + size, Advice::LinuxHugepage)
        };
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the mapping that an address lies in, as the kernel tells them (`man 5
    /// proc_pid_smaps`).
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
        // SAFETY: the sizes are not zero, each block is used within its size, and goes back with
        // the layout that it has.
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
