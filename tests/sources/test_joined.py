"""Several videos as one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.errors import ArgumentError, ConfigError, SourceError
from realtime_kp.exports import read_tracks
from realtime_kp.sources import JoinedSource, Scene, join_sources, part_order, procedural_picture
from tests.conftest import numbered_image, write_clip

INTERVAL_S = 1 / 25


def part(folder: Path, name: str, first: int, count: int, begin_s: float = 0.0) -> str:
    """A clip of numbered frames whose clock begins at a time."""
    times_s = [begin_s + i * INTERVAL_S for i in range(count)]
    write_clip(
        folder / name,
        [numbered_image(first + i) for i in range(count)],
        times_s=times_s,
        options={"g": "1"},
    )
    return str(folder / name)


def read(*names: str, start_s: float = 0.0) -> tuple[list[int], list[float], str | None]:
    """What the frames show, their times, and the damage."""
    with join_sources(names, start_s=start_s) as source:
        frames = list(source)
        assert [frame.index for frame in frames] == list(range(len(frames)))
        shown = [round((float(frame.image_bgr.mean()) - 17) / 9) for frame in frames]
        return shown, [frame.time_s for frame in frames], source.damage


@pytest.mark.parametrize(
    ("begin_s", "joined_s"),
    [
        (0.0, 0.2),  # a clock of its own
        (5.2, 0.2),  # goes on
        (5.7, 0.7),  # half a second was lost
        (65.0, 0.2),  # another recording
        (5.0, 0.2),  # the same clock again
    ],
)
def test_times_go_on(tmp_path: Path, begin_s: float, joined_s: float) -> None:
    first, second = part(tmp_path, "a.mkv", 0, 5, 5.0), part(tmp_path, "b.mkv", 5, 4, begin_s)
    shown, times_s, damage = read(first, second)
    assert shown == list(range(9))
    expected_s = [i * INTERVAL_S for i in range(5)] + [joined_s + i * INTERVAL_S for i in range(4)]
    assert times_s == pytest.approx(expected_s, abs=2e-3)
    assert damage is None


def test_start_counts_over_all_parts(tmp_path: Path) -> None:
    names = [part(tmp_path, f"{i}.mp4", 5 * i, 5) for i in range(3)]
    shown, times_s, _ = read(*names, start_s=0.28)
    assert shown == list(range(7, 15))
    assert times_s[0] == pytest.approx(0.28)
    with pytest.raises(SourceError, match="no frames after second 9"):
        read(*names, start_s=9)


def test_damage_of_any_part_is_told(tmp_path: Path) -> None:
    names = [part(tmp_path, f"{i}.mp4", 5 * i, 5) for i in range(2)]
    noise = list(np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8))
    whole = write_clip(tmp_path / "cut.mkv", noise).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 7 // 10])
    _, times_s, damage = read(names[0], str(tmp_path / "cut.mkv"), names[1])
    assert len(times_s) > 12
    assert damage is not None
    assert "cut.mkv is damaged" in damage


def test_order_of_parts() -> None:
    assert part_order(["p1.ts", "p10.ts", "p2.ts"]) == ["p1.ts", "p2.ts", "p10.ts"]
    assert part_order(["p2.ts", "p10.ts", "p1.ts"]) == ["p2.ts", "p10.ts", "p1.ts"]


def test_what_cannot_be_joined(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="demo is none"):
        join_sources([part(tmp_path, "a.mp4", 0, 3), "demo"])
    with pytest.raises(SourceError, match=r"none\.mp4"):
        read(part(tmp_path, "a.mp4", 0, 3), str(tmp_path / "none.mp4"))
    with pytest.raises(ArgumentError, match="got none"):
        JoinedSource([])


@pytest.mark.slow
def test_tracks_go_on_from_part_to_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene = Scene(procedural_picture((460, 350), 3), (320, 240))
    for number in range(3):
        images = [scene.render(6 * number + i) for i in range(6)]
        write_clip(tmp_path / f"p{number}.mp4", images, fps=25, options={"crf": "10"})
    words = ["video", "p0.mp4", "p1.mp4", "p2.mp4", "--concat", "--model", "small", "--resize", "320", "-q"]
    assert main([*words, "--tracks", "t.csv"]) == 0
    table = read_tracks("t.csv")
    lengths = [len(rows) for _, rows in table.tracks()]
    assert table.frames.max() == 17
    assert np.mean(np.array(lengths) >= 14) > 0.4
    capture = cv2.VideoCapture("p0_tracks.mp4")
    try:
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 18
    finally:
        capture.release()
