"""Times of a data set in recordings of Rerun."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime_kp.exports import TrackTable, export_tracks


@pytest.mark.parametrize(("begin_ns", "kind"), [(0, "duration"), (1403636579763555584, "timestamp")])
def test_clocks_since_1970_are_dates(tmp_path: Path, begin_ns: int, kind: str) -> None:
    import pyarrow as pa
    from rerun.chunk import RrdReader

    frames = np.arange(3)
    columns = {name: frames.astype(float) for name in ("x", "y")}
    times_ns = begin_ns + 50_000_001 * frames
    table = TrackTable(
        {"frame": frames, "track_id": np.ones(3, np.int64), **columns, "time_ns": times_ns},
        {"width": 64, "height": 48, "fps": 20},
    )
    export_tracks(table, "rerun", tmp_path / "a.rrd")
    found = []
    for chunk in RrdReader(tmp_path / "a.rrd").stream():
        if chunk.entity_path == "/figures/tracks":
            column = chunk.to_record_batch().column("time")
            assert pa.types.is_timestamp(column.type) == (kind == "timestamp")
            found += column.cast(pa.int64()).to_pylist()
    assert sorted(found) == times_ns.tolist()
