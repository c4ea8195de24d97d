"""Recordings of Rerun read by its own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def read_rrd(path: Path) -> dict[str, list[tuple[int, int, Any]]]:
    """Frame, time in nanoseconds and value by entity and component, such as `video/tracks Points2D:colors`.

    What is static has frame and time -1.
    """
    from rerun.chunk import RrdReader

    found: dict[str, list[tuple[int, int, Any]]] = {}
    for chunk in RrdReader(path).stream().to_chunks():
        batch = chunk.to_record_batch()
        size = batch.num_rows
        frames, times_ns = [-1] * size, [-1] * size
        if not chunk.is_static and "frame" in batch.schema.names:
            frames = batch.column("frame").to_pylist()
            times_ns = np.asarray(batch.column("time")).astype(np.int64).tolist()
        for name in batch.schema.names:
            if name in ("rerun.controls.RowId", "RowId", "frame", "time", "log_time", "log_tick"):
                continue
            values = batch.column(name).to_pylist()
            rows = found.setdefault(f"{chunk.entity_path.strip('/')} {name}", [])
            for frame, time_ns, value in zip(frames, times_ns, values, strict=True):
                if value is not None:
                    rows.append((frame, time_ns, value))
    return {name: sorted(rows, key=lambda row: row[:2]) for name, rows in found.items()}
