"""The machine of the measurement."""

import fcntl
import os
import platform
import struct
from typing import Any

from commands import build_variables

# PAGEMAP_SCAN is _IOWR('f', 16, struct pm_scan_arg) in linux/fs.h. The size is in bytes.
SCAN_SIZE = 96
PAGEMAP_SCAN = 0xC0000000 | SCAN_SIZE << 16 | ord("f") << 8 | 16


def describe() -> dict[str, Any]:
    """The properties that figures depend on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memoryGib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "pagemapScan": _has_pagemap_scan(),
        "loadBefore": round(os.getloadavg()[0], 2),
        "builtWith": build_variables(),
    }


def in_words(machine: dict[str, Any]) -> str:
    """The properties as one line of text."""
    scan = "with" if machine["pagemapScan"] else "without"
    built = ", ".join(f"{name}={value}" for name, value in machine["builtWith"].items())
    return (
        f"{machine['cores']} cores of {machine['cpu']} ({machine['architecture']}), "
        f"{machine['memoryGib']} GiB, "
        f"{machine['kernel']} {scan} PAGEMAP_SCAN, load {machine['loadBefore']} before"
        + (f", built with {built}" if built else "")
    )


def _cpu() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(models, "an unknown CPU")


def _has_pagemap_scan() -> bool:
    """Whether the kernel has PAGEMAP_SCAN (Linux 6.7). Scans an empty range."""
    with open("/proc/self/pagemap", "rb") as pagemap:
        try:
            fcntl.ioctl(pagemap, PAGEMAP_SCAN, struct.pack("Q", SCAN_SIZE).ljust(SCAN_SIZE, b"\0"))
        except OSError:
            return False
        return True
