//! Pages of memory.

use std::io;

use rustix::mm::{MprotectFlags, mprotect};
pub(crate) use rustix::param::page_size;

/// What a program may do with pages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Read,
    Execute,
}

/// Sets what the program may do with whole pages.
///
/// # Errors
/// The kernel refuses it.
///
/// # Safety
/// The pages are mapped from a file of code, and nothing writes to them. After [`Access::Read`] no
/// code in them runs.
pub(crate) unsafe fn protect(address: *const u8, len: usize, access: Access) -> io::Result<()> {
    let flags = match access {
        Access::Read => MprotectFlags::READ,
        Access::Execute => MprotectFlags::READ | MprotectFlags::EXEC,
    };
    // SAFETY: the caller promises it.
    Ok(unsafe { mprotect(address.cast_mut().cast(), len, flags) }?)
}

/// Advises huge pages for a range of memory, or takes the advice back. Best effort: a kernel without
/// huge pages refuses.
///
/// # Safety
/// The range is memory of this process.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn advise_huge_pages(address: *mut u8, len: usize, huge: bool) {
    use rustix::mm::{Advice, madvise};
    let advice = if huge { Advice::LinuxHugepage } else { Advice::LinuxNoHugepage };
    // SAFETY: the caller promises it. Advice does not change the content of memory.
    let _refused = unsafe { madvise(address.cast(), len, advice) };
}

/// Does nothing: the kernel takes no such advice.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn advise_huge_pages(_address: *mut u8, _len: usize, _huge: bool) {}
