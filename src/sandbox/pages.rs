//! Keeps the kernel from mapping pages of the image that a task did not touch.
//!
//! On a file-backed read fault the kernel also maps neighbouring pages (fault-around, 64 KiB). A
//! trivial task reads 150 pages of the image; fault-around makes that 900. The scan for written
//! pages after each task (`PAGEMAP_SCAN`) visits every mapped page: 30 µs for 900 pages, 10 µs for
//! 150 (measured).
//!
//! The kernel does not fault around in memory that is registered with [userfaultfd(2)] for write
//! protection. So the image's memory is registered. No page is ever write-protected, so no fault is
//! ever reported.
//!
//! [userfaultfd(2)]: https://man7.org/linux/man-pages/man2/userfaultfd.2.html

use std::{collections::HashSet, os::fd::OwnedFd, sync::Mutex};

use rustix::{
    ioctl::{Opcode, Updater, ioctl, opcode},
    mm::{UserfaultfdFlags, userfaultfd},
};

use crate::sync::lock;

/// `UFFD_USER_MODE_ONLY` of `linux/userfaultfd.h`: needs no privilege.
const UFFD_USER_MODE_ONLY: UserfaultfdFlags = UserfaultfdFlags::from_bits_retain(1);

/// `UFFD_API`, the version of the interface.
const UFFD_API: u64 = 0xaa;

/// `UFFD_FEATURE_WP_HUGETLBFS_SHMEM`: write protection of shared memory, which the image's memory
/// file is.
const UFFD_FEATURE_WP_HUGETLBFS_SHMEM: u64 = 1 << 12;

/// `UFFDIO_REGISTER_MODE_WP`: report faults of write-protected pages.
const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;

const UFFDIO_API: Opcode = opcode::read_write::<UffdioApi>(0xaa, 0x3f);
const UFFDIO_REGISTER: Opcode = opcode::read_write::<UffdioRegister>(0xaa, 0x00);

/// `struct uffdio_api`.
#[repr(C)]
struct UffdioApi {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`, with its `struct uffdio_range` inline.
#[repr(C)]
struct UffdioRegister {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// Suppresses fault-around in memory that is added. Does nothing if the kernel lacks the feature or
/// forbids it.
pub(crate) struct FaultAroundSuppressor {
    userfaultfd: Option<OwnedFd>,
    /// Start addresses of registered memory. Slots of the pool keep their address and their
    /// registration.
    registered: Mutex<HashSet<usize>>,
}

impl FaultAroundSuppressor {
    pub(crate) fn new() -> Self {
        Self { userfaultfd: open_userfaultfd().ok(), registered: Mutex::default() }
    }

    /// Registers the memory of a slot, unless that was done before.
    pub(crate) fn add(&self, memory: &[u8]) {
        let Some(userfaultfd) = &self.userfaultfd else { return };
        let start = memory.as_ptr() as usize;
        if !lock(&self.registered).insert(start) {
            return;
        }
        let mut register = UffdioRegister {
            start: start as u64,
            len: memory.len() as u64,
            mode: UFFDIO_REGISTER_MODE_WP,
            ioctls: 0,
        };
        // Best effort: where the kernel refuses, fault-around stays and only the scan is slower.
        // SAFETY: `UffdioRegister` is the argument of this ioctl. Registration changes neither the
        // content of the memory nor the access to it.
        let _refused =
            unsafe { ioctl(userfaultfd, Updater::<UFFDIO_REGISTER, _>::new(&mut register)) };
    }
}

fn open_userfaultfd() -> rustix::io::Result<OwnedFd> {
    // SAFETY: the descriptor acts on no memory before any is registered.
    let userfaultfd = unsafe { userfaultfd(UserfaultfdFlags::CLOEXEC | UFFD_USER_MODE_ONLY) }?;
    let mut api = UffdioApi { api: UFFD_API, features: UFFD_FEATURE_WP_HUGETLBFS_SHMEM, ioctls: 0 };
    // SAFETY: `UffdioApi` is the argument of this ioctl.
    unsafe { ioctl(&userfaultfd, Updater::<UFFDIO_API, _>::new(&mut api)) }?;
    Ok(userfaultfd)
}
