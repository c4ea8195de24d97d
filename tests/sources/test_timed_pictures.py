"""Folders of data sets, whose pictures have exact times."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.errors import SourceError
from realtime_kp.exports import read_tracks
from realtime_kp.frame import Frame
from realtime_kp.sources import Scene, SourceKind, list_pictures, open_source, procedural_picture, source_kind
from tests.conftest import numbered_image

EPOCH_NS = 1403636579763555584
STAMPS = [EPOCH_NS + step for step in (0, 50_000_001, 100_000_000)]


def pictures(folder: Path, names: Sequence[str]) -> None:
    """Pictures that show the place of their name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), numbered_image(number))


def frames(location: Path, start_s: float = 0.0) -> list[Frame]:
    with open_source(location, start_s=start_s) as source:
        return list(source)


def read_number(image: np.ndarray) -> int:
    return (int(image[0, 0, 0]) - 20) // 9


def told(found: list[Frame]) -> list[tuple[int, int | None]]:
    """What each frame shows, and its time."""
    return [(read_number(frame.image_bgr), frame.stamp_ns) for frame in found]


def euroc(root: Path, lines: Sequence[str] | None = None, newline: str = "\n") -> Path:
    names = [f"{stamp}.png" for stamp in STAMPS]
    pictures(root / "mav0/cam0/data", names)
    listed = [f"{stamp},{name}" for stamp, name in zip(STAMPS, names, strict=True)]
    text = newline.join(["#timestamp [ns],filename", *(listed if lines is None else lines), ""])
    (root / "mav0/cam0/data.csv").write_bytes(text.encode())
    return root


@pytest.mark.parametrize("place", ["", "mav0", "mav0/cam0", "mav0/cam0/data", "mav0/cam0/data.csv"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_euroc(tmp_path: Path, place: str, newline: str) -> None:
    found = frames(euroc(tmp_path / "MH_01", newline=newline) / place)
    assert told(found) == list(enumerate(STAMPS))
    assert [frame.time_ns for frame in found] == STAMPS
    assert [frame.time_s for frame in found] == pytest.approx([0, 0.050000001, 0.1], abs=1e-12)
    assert [frame.index for frame in found] == [0, 1, 2]


def test_the_first_camera_is_taken_and_others_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = euroc(tmp_path / "MH_01")
    pictures(root / "mav0/cam1/data", ["7.png"])
    (root / "mav0/cam1/data.csv").write_text("7,7.png\n")
    with caplog.at_level(logging.INFO, "realtime_kp"):
        assert len(frames(root)) == 3
    assert "cam1" in caplog.text
    assert told(frames(root / "mav0/cam1")) == [(0, 7_000_000_000)]


@pytest.mark.parametrize("place", ["", "rgb.txt"])
def test_tum(tmp_path: Path, place: str) -> None:
    names = ["1305031102.175304.png", "1305031102.211214.png"]
    pictures(tmp_path / "rgb", names)
    lines = ["# color images", "# file: 'x.bag'", "# timestamp filename"]
    (tmp_path / "rgb.txt").write_text("\n".join([*lines, *(f"{name[:-4]} rgb/{name}" for name in names)]))
    assert told(frames(tmp_path / place)) == [(0, 1305031102175304000), (1, 1305031102211214000)]


@pytest.mark.parametrize("place", ["00", "00/image_0", "00/times.txt"])
def test_kitti_odometry(tmp_path: Path, place: str) -> None:
    pictures(tmp_path / "00/image_0", ["000000.png", "000001.png", "000010.png"])
    (tmp_path / "00/times.txt").write_text("0.000000e+00\n1.036224e-01\n2.072448e-01\n")
    assert told(frames(tmp_path / place)) == [(0, 0), (1, 103622400), (2, 207244800)]


@pytest.mark.parametrize("place", ["", "data"])
def test_kitti_raw(tmp_path: Path, place: str) -> None:
    pictures(tmp_path / "data", ["0000000000.png", "0000000001.png"])
    (tmp_path / "timestamps.txt").write_text("2011-09-26 13:02:25.964389445\n2011-09-26 13:02:26.068042000\n")
    assert told(frames(tmp_path / place)) == [(0, 1317042145964389445), (1, 1317042146068042000)]


@pytest.mark.parametrize(
    ("name", "text", "expected_ns"),
    [
        ("timestamps.txt", "0.5\n0.75\n", [500_000_000, 750_000_000]),
        ("timestamps.txt", "0\n2\n", [0, 2_000_000_000]),
        ("timestamps.csv", "timestamp_us\n5\n7\n", [5000, 7000]),
        ("timestamps.csv", "filename,time_s\na b.png,1.5\nc.png,1.25\n", [1_250_000_000, 1_500_000_000]),
        ("timestamps.txt", "1.25   c.png\n  1.5 a b.png  \n\n", [1_250_000_000, 1_500_000_000]),
        ("timestamps.txt", "c.png 1.25\na b.png 1.5\n", [1_250_000_000, 1_500_000_000]),
        (
            "timestamps.txt",
            "\ufeff1403636579763\n1403636579813\n",
            [1403636579763000000, 1403636579813000000],
        ),
        ("timestamps.csv", "time [ms]\n1.5\n2.000001\n", [1_500_000, 2_000_001]),
    ],
)
def test_lists_of_any_folder(tmp_path: Path, name: str, text: str, expected_ns: list[int]) -> None:
    pictures(tmp_path, ["a b.png", "c.png"])
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = frames(tmp_path)
    assert [frame.stamp_ns for frame in found] == expected_ns
    first = 1 if "c.png" in text else 0
    assert [read_number(frame.image_bgr) for frame in found] == [first, 1 - first]


def test_what_is_missing_is_told_once_and_keeps_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = euroc(tmp_path)
    (root / f"mav0/cam0/data/{STAMPS[1]}.png").unlink()
    with open_source(root) as source:
        found = list(source)
        assert source.damage is not None
        assert "1 of 3 pictures" in source.damage
    assert [(frame.index, frame.stamp_ns) for frame in found] == [(0, STAMPS[0]), (2, STAMPS[2])]
    assert caplog.text.count("are missing") == 1
    assert len(caplog.records) == 1


def test_order_and_repetition_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"{stamp}.png" for stamp in STAMPS]
    lines = [f"{STAMPS[2]}, {names[2]}", f"{STAMPS[0]} ,{names[0]}", f"{STAMPS[0]},{names[1]}"]
    found = frames(euroc(tmp_path, lines))
    assert told(found) == [(0, STAMPS[0]), (2, STAMPS[2])]
    assert "it is sorted" in caplog.text
    assert "1 pictures with the time of another one" in caplog.text


def test_more_times_than_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "timestamps.txt").write_text("0.5\n0.75\n1.0\n")
    assert len(frames(tmp_path)) == 2
    assert "3 times" in caplog.text


def test_times_far_apart_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "timestamps.txt").write_text("123456000000\n123506000000\n")
    assert [frame.stamp_ns for frame in frames(tmp_path)] == [123456000000000000, 123506000000000000]
    assert "50000 s apart" in caplog.text


def test_the_drive_of_kitti_raw_and_the_folder_of_tum(tmp_path: Path) -> None:
    pictures(tmp_path / "drive/image_02/data", ["0.png", "1.png"])
    (tmp_path / "drive/image_02/timestamps.txt").write_text("2011-09-26 13:02:25.5\n2011-09-26 13:02:25.6\n")
    assert [frame.time_s for frame in frames(tmp_path / "drive")] == pytest.approx([0, 0.1])
    pictures(tmp_path / "tum/rgb", ["1.5.png", "1.6.png"])
    (tmp_path / "tum/rgb.txt").write_text("1.5 rgb/1.5.png\n1.6 rgb/1.6.png\n")
    assert [frame.stamp_ns for frame in frames(tmp_path / "tum/rgb")] == [1_500_000_000, 1_600_000_000]


def test_start_and_rate(tmp_path: Path) -> None:
    root = euroc(tmp_path)
    found = frames(root, start_s=0.04)
    assert [(frame.index, frame.stamp_ns) for frame in found] == [(0, STAMPS[1]), (1, STAMPS[2])]
    with open_source(root) as source:
        assert source.info.fps == pytest.approx(20, rel=1e-3)
        assert source.info.begin_s == pytest.approx(EPOCH_NS / 1e9)
    with pytest.raises(SourceError, match="no pictures after second 5"):
        frames(root, start_s=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no times"),
        ("# only a heading\n", "holds no times"),
        ("0.5\nx\n", "no time in line 2: 'x'"),
        ("apples\n0.5\n", "no list of times, in line 1"),
        ("0.5,a.png\n0.6\n", "in some of its lines only"),
        ("0.5,none.png\n", "none of the 1 pictures"),
        ("1e300\n", "too large"),
        ("1e999999999\n", "no time in line 1"),
        ("2011-13-26 13:02:25.9\n", "no time in line 1"),
    ],
)
def test_what_is_no_list(tmp_path: Path, text: str, message: str) -> None:
    pictures(tmp_path, ["a.png"])
    (tmp_path / "timestamps.txt").write_text(text)
    with pytest.raises(SourceError, match=message):
        frames(tmp_path)


def test_a_list_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("0.5\n")
    with pytest.raises(SourceError, match="no pictures beside it"):
        frames(tmp_path / "list.txt")


def test_folders_without_lists_are_as_before(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "data.csv").write_text("x,y\n1,2\n")
    (tmp_path / "notes.txt").write_text("hello")
    assert told(frames(tmp_path)) == [(0, None), (1, None)]
    assert source_kind(str(tmp_path / "notes.txt")) is SourceKind.LIST
    assert [path.name for path in list_pictures(tmp_path)] == ["a.png", "b.png"]


@pytest.mark.slow
def test_the_command_tells_what_is_missing_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = euroc(tmp_path / "MH_01")
    (root / f"mav0/cam0/data/{STAMPS[1]}.png").unlink()
    assert main(["video", "MH_01", "--model", "small", "--resize", "64", "-q"]) == 6
    assert capsys.readouterr().err.count("are missing") == 1
    names = sorted(path.name for path in (tmp_path / "MH_01_tracks").iterdir())
    assert names == [f"{STAMPS[0]}_tracks.png", f"{STAMPS[2]}_tracks.png"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_times_arrive_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.chdir(tmp_path)
    scene = Scene(procedural_picture((460, 350), 3), (320, 240))
    folder = tmp_path / "MH_01/mav0/cam0/data"
    folder.mkdir(parents=True)
    stamps = [EPOCH_NS + 50_000_001 * index for index in range(8)]
    for index, stamp in enumerate(stamps):
        cv2.imwrite(str(folder / f"{stamp}.png"), scene.render(index))
    listed = [f"{stamp},{stamp}.png" for stamp in stamps]
    (folder.parent / "data.csv").write_text("\n".join(["#timestamp [ns],filename", *listed]))
    words = ["video", "MH_01", "--model", "small", "--resize", "320", "-q", "--tracks", f"t{suffix}"]
    assert main([*words, "-o", "out.mp4", "--export", "tapvid:t.npz"]) == 0
    table = read_tracks(f"t{suffix}")
    assert set(table.columns["time_ns"].tolist()) == set(stamps[1:])
    assert table.fps == pytest.approx(20, rel=1e-3)
    assert table.times_ns(8).tolist() == stamps
    capture = cv2.VideoCapture("out.mp4")
    try:
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    finally:
        capture.release()
