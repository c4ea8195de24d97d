"""Recordings of Rerun, read back by its own reader."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from realtime_kp.errors import ConfigError
from realtime_kp.exports import TrackTable, export_tracks
from realtime_kp.render import id_colours
from realtime_kp.sources import Scene, procedural_picture
from tests.conftest import write_clip

EPOCH_NS = 1403636579763555584
STEP_NS = 50_000_001
SIZE_WH = (320, 240)
ROWS = [
    *(("", 7, frame, 20.0 + 3 * frame, 40.5) for frame in range(4)),
    *(("", 9, frame, 200.25, 100.0 + frame) for frame in (0, 1, 3)),
    *(("nose", 70_000, frame, 90.0, 60.0) for frame in (2, 3)),
]


def exported(folder: Path, video: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Rows of each entity."""
    labels, ids, frames, x, y = zip(*ROWS, strict=True)
    frame = np.array(frames)
    columns: dict[str, Any] = {
        "frame": frame,
        "track_id": np.array(ids),
        "x": np.array(x),
        "y": np.array(y),
        "time_ns": EPOCH_NS + STEP_NS * frame,
        "label": np.array(labels, object),
    }
    table = TrackTable(columns, {"width": SIZE_WH[0], "height": SIZE_WH[1], "fps": 20})
    export_tracks(table, "rerun", folder / "a.rrd", video=video)
    return read(folder / "a.rrd")


def _plain(column: Any) -> list[Any]:
    import pyarrow as pa

    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    from rerun.chunk import RrdReader

    found: dict[str, list[dict[str, Any]]] = {}
    for chunk in RrdReader(path).stream():
        batch = chunk.to_record_batch()
        columns = {name: _plain(batch.column(name)) for name in batch.schema.names}
        names = list(columns)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        found.setdefault(chunk.entity_path, []).extend(rows)
    return found


def test_tracks_come_back(tmp_path: Path) -> None:
    found = exported(tmp_path)
    rows = sorted(found["/video/tracks"], key=lambda row: row["frame"])
    assert [row["frame"] for row in rows] == [0, 1, 2, 3]
    assert [row["time"] for row in rows] == [EPOCH_NS + STEP_NS * frame for frame in range(4)]
    for frame, row in enumerate(rows):
        wanted = sorted((number, x, y) for _, number, index, x, y in ROWS if index == frame)
        assert row["track_id"] == [number for number, _, _ in wanted]
        positions = np.array(row["Points2D:positions"])
        np.testing.assert_allclose(positions, [(x + 0.5, y + 0.5) for _, x, y in wanted], atol=1e-4)
        rgb = np.rint(id_colours(np.array(row["track_id"]))[:, :3] * 255).astype(int)
        colours = [[value >> shift & 255 for shift in (24, 16, 8)] for value in row["Points2D:colors"]]
        assert colours == rgb.tolist()
    assert rows[3]["Points2D:labels"] == ["", "", "nose"]


def test_trails_and_figures_come_back(tmp_path: Path) -> None:
    found = exported(tmp_path)
    last = max(found["/video/trails"], key=lambda row: row["frame"])
    strips = [np.array(strip) for strip in last["LineStrips2D:strips"]]
    assert [len(strip) for strip in strips] == [20, 20, 20]
    np.testing.assert_allclose(strips[0][-4:], [(20.5 + 3 * i, 41) for i in range(4)], atol=1e-4)
    np.testing.assert_allclose(strips[0][:-4], [(20.5, 41)] * 16, atol=1e-4)
    # Track 9 was away in frame 2: no line crosses the gap.
    np.testing.assert_allclose(strips[1], [(200.75, 103.5)] * 20, atol=1e-4)
    counts = {row["frame"]: row["Scalars:scalars"] for row in found["/figures/tracks"]}
    assert counts == {0: [2.0], 1: [2.0], 2: [2.0], 3: [3.0]}
    lengths = {row["frame"]: row["Scalars:scalars"][0] for row in found["/figures/mean_length"]}
    assert lengths == {0: 1.0, 1: 2.0, 2: 2.0, 3: 3.0}


def test_the_video_is_h264(tmp_path: Path) -> None:
    scene = Scene(procedural_picture((460, 350), 3), SIZE_WH)
    images = [scene.render(index) for index in range(4)]
    write_clip(tmp_path / "a.mp4", images, fps=20, options={"crf": "10"})
    found = exported(tmp_path, str(tmp_path / "a.mp4"))
    samples = [row for row in found["/video"] if row.get("VideoStream:sample")]
    samples.sort(key=lambda row: row["frame"])
    assert [row["frame"] for row in samples] == [0, 1, 2, 3]
    whole = tmp_path / "a.h264"
    whole.write_bytes(b"".join(bytes(row["VideoStream:sample"][0]) for row in samples))
    with av.open(str(whole)) as container:
        shown = [frame.to_ndarray(format="bgr24").astype(int) for frame in container.decode(video=0)]
    assert len(shown) == 4
    assert all(np.abs(one - image).mean() < 8 for one, image in zip(shown, images, strict=True))


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match=r"pip install 'realtime-kp\[rerun\]'"):
        exported(tmp_path)
