"""Errors of a device that runs out of memory, recognised without loading torch."""

from __future__ import annotations

import sys


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error tells that a device has too little memory; only torch raises such errors."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
