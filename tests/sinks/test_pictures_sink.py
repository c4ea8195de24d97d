from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.errors import SinkError
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.sinks import PicturesSink, write_picture
from realtime_kp.sources import read_picture
from tests.conftest import make_frame, numbered_image

SUFFIXES = [".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"]


def tracked(index: int, origin: str | Path = "") -> TrackedFrame:
    return TrackedFrame(replace(make_frame(index), origin=str(origin)), None, Tracks.empty())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pictures_are_named_after_their_origin(tmp_path: Path) -> None:
    with PicturesSink(tmp_path / "deep" / "out") as sink:
        for index, origin in enumerate(["in/a.png", "in/b.JPG", "in/c.pgm", ""]):
            sink.write(numbered_image(index), tracked(index, origin))
        assert sink.frames == 4
    folder = tmp_path / "deep" / "out"
    assert files(folder) == ["a_tracks.png", "b_tracks.jpg", "c_tracks.png", "frame_000003_tracks.png"]
    assert np.array_equal(read_picture(folder / "a_tracks.png"), numbered_image(0))


@pytest.mark.parametrize(
    "origins",
    [("a.png", "a.ppm"), ("a.jpg", "a.JPG"), ("x/a.png", "y/a.png"), ("x/a.png", "y/a.png", "z/a.png")],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_picture_of_a_run_takes_the_place_of_another(
    tmp_path: Path, origins: tuple[str, ...], overwrite: bool
) -> None:
    with PicturesSink(tmp_path, overwrite=overwrite) as sink:
        for index, origin in enumerate(origins):
            sink.write(numbered_image(index), tracked(index, origin))
    assert len(files(tmp_path)) == len(origins)


def test_single_picture_goes_to_the_file_named(tmp_path: Path) -> None:
    with PicturesSink(tmp_path / "out.png", single=True) as sink:
        sink.write(numbered_image(5), tracked(0, "in/a.jpg"))
    assert files(tmp_path) == ["out.png"]
    assert np.array_equal(read_picture(tmp_path / "out.png"), numbered_image(5))


def test_nothing_drawn_nothing_written(tmp_path: Path) -> None:
    with PicturesSink(tmp_path / "out") as sink:
        sink.write(None, tracked(0, "a.png"))
    assert files(tmp_path) == []


def test_existing_picture_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a_tracks.png"
    path.write_text("older")
    with pytest.raises(SinkError, match="exists already"), PicturesSink(tmp_path) as sink:
        sink.write(numbered_image(1), tracked(0, "a.png"))
    assert path.read_text() == "older"
    with PicturesSink(tmp_path, overwrite=True) as sink:
        sink.write(numbered_image(1), tracked(0, "a.png"))
    assert np.array_equal(read_picture(path), numbered_image(1))


def test_picture_is_never_written_over_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_picture(path, numbered_image(1))
    with (
        pytest.raises(SinkError, match="the input itself"),
        PicturesSink(path, overwrite=True, single=True) as sink,
    ):
        sink.write(numbered_image(2), tracked(0, path))
    assert np.array_equal(read_picture(path), numbered_image(1))


def test_folder_that_is_a_file_is_an_error_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SinkError, match="out"), PicturesSink(tmp_path / "out") as sink:
        sink.write(numbered_image(0), tracked(0, "a.png"))


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG"])
def test_suffix_decides_the_format(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (48, 64, 3), np.uint8), (0, 0), 3)
    path = tmp_path / f"a{suffix}"
    write_picture(path, image)
    assert np.abs(read_picture(path).astype(int) - image).mean() < 4
    assert files(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["a.gif", "a.txt", "a"])
def test_unknown_suffix_is_an_error_of_the_output(tmp_path: Path, name: str) -> None:
    with pytest.raises(SinkError, match=name):
        write_picture(tmp_path / name, numbered_image(0))
    assert files(tmp_path) == []


def test_missing_folder_is_an_error_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write"):
        write_picture(tmp_path / "gone" / "a.png", numbered_image(0))


def test_full_disk_is_an_error_of_the_output_and_leaves_nothing(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "a.partial.png").symlink_to("/dev/full")
    with pytest.raises(SinkError, match="cannot write"):
        write_picture(tmp_path / "a.png", numbered_image(0))
    assert files(tmp_path) == []
