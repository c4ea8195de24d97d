"""Description of the machine, and process settings that depend on the operating system."""

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
# An increment of 10 would starve the network next to other busy programs.
_NICENESS_INCREMENT = 5
_MAX_NICENESS = 19
_NVIDIA = "0x10de"
# Of discrete GPUs, of Windows' Linux, of AMD, of Jetson boards; then the driver itself.
_GPU_TRACES = (
    *(f"dev/{name}" for name in ("nvidiactl", "nvidia0", "dxg", "kfd", "nvmap", "nvhost-gpu")),
    "proc/driver/nvidia/version",
    "sys/module/nvidia",
)
_M_MMAP_MAX, _M_TRIM_THRESHOLD, _M_TOP_PAD = -4, -1, -2
PACKAGES = ("realtime-kp", "torch", "transformers", "openvino", "opencv-python", "av", "numpy")


def describe_machine() -> dict[str, object]:
    """Describe processor, cores, memory (GiB), system, and versions of Python and of `PACKAGES`."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in PACKAGES},
    }


def missing_system_packages() -> list[str]:
    """List the Debian packages with libraries that OpenCV's wheel needs and this Linux system lacks."""
    if not sys.platform.startswith("linux"):
        return []
    return [package for name, package in SYSTEM_LIBRARIES.items() if ctypes.util.find_library(name) is None]


def package_version(name: str) -> str:
    """Return the installed version of a package, or `missing`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def keep_freed_memory() -> None:
    """Make glibc keep freed large blocks in the process; no effect with other C libraries.

    By default glibc returns each block to the system, and the next allocation page-faults on pages that the
    kernel must zero first: a quarter of the time of a training step on a CPU. (mallopt(3): `M_MMAP_MAX`,
    `M_TRIM_THRESHOLD`, `M_TOP_PAD`.)
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**29)):
        libc.mallopt(parameter, value)


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use; all of the machine where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def lower_thread_priority() -> None:
    """Lower the CPU priority of this thread, and of the threads that it starts, by 5 niceness steps.

    The other threads of the process are scheduled first then. Linux only, where each thread has its own
    niceness (setpriority(2)); no effect elsewhere.
    """
    if sys.platform.startswith("linux"):
        thread = threading.get_native_id()
        # Relative: an absolute value would raise the priority of a process started with `nice`, which needs
        # privileges.
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS_INCREMENT
        os.setpriority(os.PRIO_PROCESS, thread, min(_MAX_NICENESS, niceness))


def multiplies_bytes() -> bool:
    """Whether the CPU has instructions for sums of products of bytes (VNNI, or dot products on ARM)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True
    return "vnni" in text or "asimddp" in text


def may_have_gpu(root: Path = Path("/")) -> bool:
    """Whether torch may find a GPU: false only where Linux shows no trace of NVIDIA's or AMD's drivers.

    A trace is a device file, a loaded driver, or a PCI device of NVIDIA's, whose driver may make the device
    files only when a GPU is first used.

    Args:
        root: Folder in which `dev`, `proc` and `sys` lie.
    """
    if not sys.platform.startswith("linux"):
        return True
    if any((root / place).exists() for place in _GPU_TRACES):
        return True
    return any(_first_word(file) == _NVIDIA for file in (root / "sys/bus/pci/devices").glob("*/vendor"))


def _first_word(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def peak_memory_mb() -> float | None:
    """Return the peak resident memory of this process in MiB; None on systems without `resource`."""
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
