//! Memory of processes, from `/proc` (proc(5)).

use std::{fs, io};

/// Returns the child processes of a process.
pub(crate) fn children(parent: u32) -> io::Result<Vec<u32>> {
    let parent_of = |id: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let processes =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(processes.filter(|id| parent_of(*id) == Some(parent)).collect())
}

/// Returns the proportional set size in MiB: private pages, plus a share of each shared page.
pub(crate) fn pss(id: u32) -> io::Result<f64> {
    kib(id, "smaps_rollup", "Pss:").map(|kib| kib / 1024.0)
}

/// Returns the anonymous memory in KiB: the heap, and copies of the image's pages after writes
/// (copy-on-write). Unwritten pages of the image are shared by all instances.
pub(crate) fn private(id: u32) -> io::Result<f64> {
    kib(id, "smaps_rollup", "Anonymous:")
}

/// Returns the peak resident set size in MiB.
pub(crate) fn peak(id: u32) -> io::Result<f64> {
    kib(id, "status", "VmHWM:").map(|kib| kib / 1024.0)
}

/// Returns the value in KiB of a line of a file in the process's `/proc` directory.
fn kib(id: u32, file: &str, name: &str) -> io::Result<f64> {
    let path = format!("/proc/{id}/{file}");
    let text = fs::read_to_string(&path)?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}
