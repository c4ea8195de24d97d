"""What this machine is: for summaries, benchmarks and the doctor."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SYSTEM_LIBRARIES = {"GL": "libgl1", "glib-2.0": "libglib2.0-0", "xcb": "libxcb1"}
# Twice as much would starve the network beside other busy programs.
_YIELDING = 5
_MAX_NICENESS = 19
_M_MMAP_MAX, _M_TRIM_THRESHOLD, _M_TOP_PAD = -4, -1, -2
PACKAGES = ("realtime-kp", "torch", "transformers", "openvino", "opencv-python", "av", "numpy")


def describe_machine() -> dict[str, object]:
    """Processor, memory, system and the versions that matter for speed."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in PACKAGES},
    }


def missing_system_packages() -> list[str]:
    """Debian packages of the libraries that OpenCV's wheel expects and this system lacks."""
    if not sys.platform.startswith("linux"):
        return []
    return [package for name, package in SYSTEM_LIBRARIES.items() if ctypes.util.find_library(name) is None]


def package_version(name: str) -> str:
    """The installed version of a package, or `missing`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def keep_freed_memory() -> None:
    """Let this process keep large blocks that it frees, where the C library is glibc.

    By default each is given back and comes anew as pages that the system must clear first, which is a quarter
    of the time of a training step on a CPU. (mallopt(3): `M_MMAP_MAX`, `M_TRIM_THRESHOLD`, `M_TOP_PAD`.)
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**29)):
        libc.mallopt(parameter, value)


def yield_to_others() -> None:
    """Let this thread, and those that it starts, have what the others of the process leave of the cores.

    On Linux, where threads have priorities of their own (setpriority(2)); elsewhere nothing happens.
    """
    if sys.platform.startswith("linux"):
        thread = threading.get_native_id()
        # Relative: a process begun under `nice` may not take back what it has given up already.
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _YIELDING
        os.setpriority(os.PRIO_PROCESS, thread, min(_MAX_NICENESS, niceness))


def peak_memory_mb() -> float | None:
    """The largest resident memory of this process so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
