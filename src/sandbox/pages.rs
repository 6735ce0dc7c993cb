//! Which pages of the image a slot of the pool has mapped: those that its tasks read, and not their neighbours.
//!
//! Where a page of a file is read for the first time, the kernel maps those around it as well, 64 KiB in all. Of the image, that
//! makes 900 pages for the 150 that a trivial task looks at, and the kernel passes them all when it looks for written ones
//! after each task (`PAGEMAP_SCAN`; 30 µs for 900, 10 µs for 150). It maps one by one where someone might wait for a fault
//! (`userfaultfd(2)`): so memory is registered for that. No page is ever protected, so no fault is ever reported.

use std::{collections::HashSet, os::fd::OwnedFd, sync::Mutex};

use rustix::{
    ioctl::{Opcode, Updater, ioctl, opcode},
    mm::{UserfaultfdFlags, userfaultfd},
};

use crate::sync::lock;

/// `UFFD_USER_MODE_ONLY`: what needs no privilege.
const USER_MODE_ONLY: UserfaultfdFlags = UserfaultfdFlags::from_bits_retain(1);

/// The version of the interface, and the feature that the memory of the image needs (`linux/userfaultfd.h`).
const VERSION: u64 = 0xaa;
const WRITE_PROTECT_OF_SHARED_MEMORY: u64 = 1 << 12;

/// Faults of pages that are protected against writing.
const MODE_WRITE_PROTECT: u64 = 1 << 1;

const AGREE: Opcode = opcode::read_write::<Agreement>(0xaa, 0x3f);
const REGISTER: Opcode = opcode::read_write::<Registration>(0xaa, 0x00);

/// `struct uffdio_api`.
#[repr(C)]
struct Agreement {
    version: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Registration {
    start: u64,
    length: u64,
    mode: u64,
    ioctls: u64,
}

/// The memory that is mapped page by page. Where the kernel cannot do it, or does not allow it, there is none.
pub(crate) struct SinglePages {
    faults: Option<OwnedFd>,
    registered: Mutex<HashSet<usize>>,
}

impl SinglePages {
    pub(super) fn new() -> Self {
        Self { faults: listen().ok(), registered: Mutex::default() }
    }

    /// Has the pages of a slot's memory mapped one by one from here on; nothing, where they are already.
    pub(super) fn add(&self, memory: &[u8]) {
        let Some(faults) = &self.faults else { return };
        let start = memory.as_ptr() as usize;
        if !lock(&self.registered).insert(start) {
            return;
        }
        let mut registration = Registration {
            start: start as u64,
            length: memory.len() as u64,
            mode: MODE_WRITE_PROTECT,
            ioctls: 0,
        };
        // What is refused stays as it was.
        // SAFETY: the structure is the one that this request takes; the memory keeps what it holds, and is accessible as before.
        let _refused = unsafe { ioctl(faults, Updater::<REGISTER, _>::new(&mut registration)) };
    }
}

/// Opens the door at which nobody will knock.
fn listen() -> rustix::io::Result<OwnedFd> {
    // SAFETY: it acts on nothing before memory is registered.
    let faults = unsafe { userfaultfd(UserfaultfdFlags::CLOEXEC | USER_MODE_ONLY) }?;
    let mut agreement =
        Agreement { version: VERSION, features: WRITE_PROTECT_OF_SHARED_MEMORY, ioctls: 0 };
    // SAFETY: the structure is the one that this request takes.
    unsafe { ioctl(&faults, Updater::<AGREE, _>::new(&mut agreement)) }?;
    Ok(faults)
}
