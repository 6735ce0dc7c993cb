//! What the kernel says about the memory of processes.

use std::{fs, io};

/// The processes that a process started.
pub(crate) fn children(parent: u32) -> io::Result<Vec<u32>> {
    let of = |id: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let processes =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(processes.filter(|id| of(*id) == Some(parent)).collect())
}

/// Proportional set size of a process in MiB: its own pages, and its share of those that others have as well.
pub(crate) fn pss(id: u32) -> io::Result<f64> {
    kib(id, "smaps_rollup", "Pss:").map(|kib| kib / 1024.0)
}

/// KiB that a process has written: its heap, and its own copies of pages of the image. Pages of the image that are only
/// read belong to all instances together.
pub(crate) fn private(id: u32) -> io::Result<f64> {
    kib(id, "smaps_rollup", "Anonymous:")
}

/// The most MiB that a process has had in memory so far.
pub(crate) fn peak(id: u32) -> io::Result<f64> {
    kib(id, "status", "VmHWM:").map(|kib| kib / 1024.0)
}

/// A line of one of the process's files in `/proc`.
fn kib(id: u32, file: &str, name: &str) -> io::Result<f64> {
    let path = format!("/proc/{id}/{file}");
    let text = fs::read_to_string(&path)?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}
