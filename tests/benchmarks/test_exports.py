from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.exports import measure, write_table
from realtime_kp.exports import read_tracks


def test_the_table_is_like_those_of_runs(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", 30_000)
    table = read_tracks(tmp_path / "t.csv")
    assert len(table) == 30_000
    assert table.size_wh == (1920, 1080)
    lengths = np.array([len(rows) for _, rows in table.tracks()])
    assert np.median(lengths) >= 20
    for _, rows in list(table.tracks())[:50]:
        assert (np.diff(table.frames[rows]) == 1).all()


def test_formats_are_measured_apart() -> None:
    found = measure(4_000, ["nuke", "tapvid"])
    assert set(found) == {"nuke", "tapvid"}
    assert all(one["tracks"] > 400 and one["took_s"] > 0 and one["peak_mb"] > 20 for one in found.values())
