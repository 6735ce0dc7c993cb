//! Pages of memory.

use std::io;

use windows_sys::Win32::System::{
    Memory::{PAGE_EXECUTE_READ, PAGE_READONLY, VirtualProtect},
    SystemInformation::{GetSystemInfo, SYSTEM_INFO},
};

/// What a program may do with pages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Read,
    Execute,
}

/// Returns the bytes of a page.
pub(crate) fn page_size() -> usize {
    let mut info = SYSTEM_INFO::default();
    // SAFETY: the function fills the structure.
    unsafe { GetSystemInfo(&mut info) };
    info.dwPageSize as usize
}

/// Sets what the program may do with whole pages.
///
/// # Errors
/// The system refuses it.
///
/// # Safety
/// The pages are mapped from a file of code, and nothing writes to them. After [`Access::Read`] no
/// code in them runs.
pub(crate) unsafe fn protect(address: *const u8, len: usize, access: Access) -> io::Result<()> {
    let flags = match access {
        Access::Read => PAGE_READONLY,
        Access::Execute => PAGE_EXECUTE_READ,
    };
    let mut before = 0;
    // SAFETY: the caller promises it.
    match unsafe { VirtualProtect(address.cast(), len, flags, &mut before) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Does nothing: large pages of Windows need a privilege, and allocations of their own.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn advise_huge_pages(_address: *mut u8, _len: usize, _huge: bool) {}
