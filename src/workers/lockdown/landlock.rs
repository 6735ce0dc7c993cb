//! [Landlock] without a single rule: no path, no TCP, no signal to and no abstract socket of a
//! process outside the worker.
//!
//! [Landlock]: https://docs.kernel.org/userspace-api/landlock.html

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

/// `LANDLOCK_CREATE_RULESET_VERSION`: asks for the version of the interface.
const VERSION: u32 = 1;

/// `struct landlock_ruleset_attr`. Older kernels take the longer structure if the fields that they
/// do not know are zero.
#[repr(C)]
#[derive(Debug, PartialEq, Eq)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// Returns everything that a version of the interface can forbid.
fn everything(version: u16) -> RulesetAttr {
    // Number of access rights to files that each version knows (`LANDLOCK_ACCESS_FS_*`).
    let fs_rights = match version {
        0 => 0,
        1 => 13,
        2 => 14,
        3 | 4 => 15,
        5.. => 16,
    };
    RulesetAttr {
        handled_access_fs: (1 << fs_rights) - 1,
        // `LANDLOCK_ACCESS_NET_BIND_TCP`, `LANDLOCK_ACCESS_NET_CONNECT_TCP`.
        handled_access_net: if version >= 4 { 0b11 } else { 0 },
        // `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`, `LANDLOCK_SCOPE_SIGNAL`.
        scoped: if version >= 6 { 0b11 } else { 0 },
    }
}

/// Restricts the calling thread and the threads that it starts. Returns the version of the
/// interface. Requires `no_new_privs`.
///
/// # Errors
/// The kernel has no Landlock, or a filter of the container refuses it.
pub(crate) fn restrict() -> io::Result<u16> {
    // SAFETY: with this flag the kernel takes no structure.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<RulesetAttr>(),
            0_usize,
            VERSION,
        )
    };
    let version = u16::try_from(checked(version)?).unwrap_or(u16::MAX);
    let attr = everything(version);
    // SAFETY: the structure has the stated size and outlives the call.
    let ruleset = checked(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::from_ref(&attr),
            size_of::<RulesetAttr>(),
            0_u32,
        )
    })?;
    // SAFETY: the kernel returned a new descriptor, which nothing else owns.
    let ruleset = unsafe { OwnedFd::from_raw_fd(ruleset as libc::c_int) };
    // SAFETY: the call takes no pointer.
    checked(unsafe {
        libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32)
    })?;
    Ok(version)
}

fn checked(returned: libc::c_long) -> io::Result<libc::c_long> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of `linux/landlock.h` at the kernel that introduced each version.
    #[test]
    fn each_version_forbids_all_that_it_knows() {
        let expected = [
            (1, (0x1fff, 0, 0)),
            (2, (0x3fff, 0, 0)),
            (3, (0x7fff, 0, 0)),
            (4, (0x7fff, 3, 0)),
            (5, (0xffff, 3, 0)),
            (6, (0xffff, 3, 3)),
            (7, (0xffff, 3, 3)),
            (u16::MAX, (0xffff, 3, 3)),
        ];
        for (version, (handled_access_fs, handled_access_net, scoped)) in expected {
            let attr = RulesetAttr { handled_access_fs, handled_access_net, scoped };
            assert_eq!(everything(version), attr, "version {version}");
        }
    }
}
