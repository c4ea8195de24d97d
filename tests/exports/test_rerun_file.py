"""A recording of Rerun, read back by its SDK."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.exports import TrackTable, check_export, export_tracks, read_tracks
from realtime_kp.render.colours import colour_numbers, id_palette
from realtime_kp.sources import open_source
from tests.conftest import numbered_image, write_clip
from tests.rerun_files import read_rrd

pytest.importorskip("rerun.chunk", reason="needs pip install 'rerun-sdk>=0.41'")

START_NS = 1403636579763555584
STEP_NS = 50_000_001
LARGE = 2**40  # Rerun's own ids end at 65535


def table(frames: int = 6, **notes: Any) -> TrackTable:
    """Four tracks that move to the right; those with even ids are not seen in frame 2, nothing in frame 3."""
    rows = [
        (frame, number, 3.5 * number + 2 * frame, 20 + number / 8)
        for frame in range(frames)
        for number in (1, 2, 3, LARGE)
        if frame != 3 and (frame != 2 or number % 2)
    ]
    frame, ids, x, y = zip(*rows, strict=True)
    columns = {
        "frame": np.array(frame),
        "track_id": np.array(ids),
        "x": np.minimum(np.array(x), 60),
        "y": np.minimum(np.array(y), 40),
        "time_ns": START_NS + np.array(frame) * STEP_NS,
        "label": np.array(["Näschen" if number == 2 else "" for number in ids], object),
    }
    return TrackTable(columns, {"width": 64, "height": 48, "fps": 20.0, **notes})


def test_points_have_ids_names_and_colours(tmp_path: Path) -> None:
    tracks = table()
    assert export_tracks(tracks, "rerun", tmp_path / "t.rrd") == 4
    found = read_rrd(tmp_path / "t.rrd")
    ids, positions = found["video/tracks track_id"], found["video/tracks Points2D:positions"]
    assert [(frame, time_ns) for frame, time_ns, _ in positions] == [
        (frame, START_NS + frame * STEP_NS) for frame in range(6)
    ]
    for frame, _, value in positions:
        rows = tracks.frame(frame)
        assert ids[frame][2] == rows.ids.tolist()
        # The upper left corner of the picture is at (0, 0).
        np.testing.assert_allclose(np.reshape(value, (-1, 2)), rows.xy + 0.5, rtol=1e-6)
        labels = found["video/tracks Points2D:labels"][frame][2]
        assert labels == ["Näschen" if number == 2 else str(number) for number in rows.ids.tolist()]
        rgba = np.array(found["video/tracks Points2D:colors"][frame][2], np.uint32)
        bgr = id_palette()[colour_numbers(rows.ids)].astype(np.uint32).reshape(-1, 3)
        np.testing.assert_array_equal(rgba, bgr[:, 2] << 24 | bgr[:, 1] << 16 | bgr[:, 0] << 8 | 255)
    assert not any(name.startswith("video VideoStream") for name in found)


def test_trails_and_figures(tmp_path: Path) -> None:
    export_tracks(table(30), "rerun", tmp_path / "t.rrd")
    found = read_rrd(tmp_path / "t.rrd")
    strips = [value for _, _, value in found["video/trails LineStrips2D:strips"]]
    assert [len(value) for value in strips[:3]] == [0, 4, 2]
    # Frame 5: lines begin anew behind the gap.
    assert [len(line) for line in strips[5]] == [3, 2, 2, 2, 3, 2, 2, 2]
    np.testing.assert_allclose(strips[5][0], [[4, 20.625], [6, 20.625], [8, 20.625]])
    assert {len(line) for line in strips[29]} == {20}
    colours = [value for _, _, value in found["video/trails LineStrips2D:colors"]]
    assert [len(value) for value in colours] == [len(value) for value in strips]
    counts = [value for _, _, value in found["figures/tracks Scalars:scalars"]]
    assert counts[:5] == [[4], [4], [2], [0], [4]]
    lengths = {frame: value for frame, _, value in found["figures/mean_length Scalars:scalars"]}
    assert [lengths.get(frame) for frame in range(5)] == [[1], [2], [3], None, [3.5]]


def test_the_video_is_h264(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "a.mp4", [numbered_image(number) for number in range(6)], options={"crf": "4"}
    )
    export_tracks(table(), "rerun", tmp_path / "t.rrd", video=str(clip), every=2)
    found = read_rrd(tmp_path / "t.rrd")
    ((frame, _, codec),) = found["video VideoStream:codec"]
    assert (frame, bytes.fromhex(f"{codec[0]:x}")) == (-1, b"avc1")
    samples = found["video VideoStream:sample"]
    assert [(frame, time_ns - START_NS) for frame, time_ns, _ in samples] == [
        (0, 0),
        (2, 2 * STEP_NS),
        (4, 4 * STEP_NS),
    ]
    with open_source(str(clip)) as source:
        sources = [frame.image_bgr for frame in source]
    decoder: Any = av.CodecContext.create("h264", "r")
    pictures = [one for _, _, value in samples for one in decoder.decode(av.Packet(bytes(value[0])))]
    for picture, number in zip([*pictures, *decoder.decode(None)], (0, 2, 4), strict=True):
        shown = picture.to_ndarray(format="bgr24").astype(int)
        assert np.argmin([abs(shown - other).mean() for other in sources]) == number
    with pytest.raises(SourceError, match="another video"):
        export_tracks(table(9), "rerun", tmp_path / "u.rrd", video=str(clip))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "t.rrd"]


def test_a_recording_has_an_index_and_a_name(tmp_path: Path) -> None:
    from rerun.chunk import RrdReader

    export_tracks(table(source="clips/walk.mp4"), "rerun", tmp_path / "t.rrd")
    reader = RrdReader(tmp_path / "t.rrd")
    (entry,) = reader.recordings()
    assert entry.application_id == "realtime-kp"
    assert "/video/tracks" in str(reader.store().schema())  # store() takes no file without an index
    assert read_rrd(tmp_path / "t.rrd")["__properties RecordingInfo:name"][0][2] == ["walk.mp4"]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rerun as rr

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    save = rr.RecordingStream.save
    monkeypatch.setattr(rr.RecordingStream, "save", lambda self, path: save(self, full))
    with pytest.raises(SinkError, match=r"cannot write t.*No space left"):
        export_tracks(table(300), "rerun", tmp_path / "t.rrd")
    assert list(tmp_path.iterdir()) == []


def test_without_rerun_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'realtime-kp\[rerun\]'"):
        check_export("rerun", tmp_path / "t.rrd")


def test_straight_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["video", "demo:room?size=320x240", "--max-frames", "6", "--model", "small", "--resize", "320"]
    assert main([*words, "-q", "--no-video", "--tracks", "t.csv", "--export", "rerun:t.rrd"]) == 0
    found, tracks = read_rrd(tmp_path / "t.rrd"), read_tracks("t.csv")
    frames = np.unique(tracks.frames).tolist()
    assert [frame for frame, _, _ in found["video VideoStream:sample"]] == frames
    for frame, _, ids in found["video/tracks track_id"]:
        # Tracks seen in one frame only are left out.
        assert set(ids) <= set(tracks.frame(frame).ids.tolist())
        assert len(ids) > 50
