from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.keypoints import Detection, Keypoints, TrackedFrame, Tracks
from realtime_kp.sinks import FeaturesSink, check_features_name
from tests.conftest import make_frame

DIM = 32


def keypoints(count: int, seed: int = 0, dtype: type[np.floating] = np.float32) -> Keypoints:
    rng = np.random.default_rng(seed)
    descriptors = rng.normal(size=(count, DIM))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Keypoints(
        rng.uniform(0, 60, (count, 2)).astype(np.float32),
        np.sort(rng.uniform(0, 1, count))[::-1].astype(np.float32),
        descriptors.astype(dtype),
    )


def tracked(
    index: int, found: Keypoints | None, size_wh: tuple[int, int] = (64, 48), time_s: float | None = None
) -> TrackedFrame:
    return TrackedFrame(make_frame(index, size_wh, time_s), found, Tracks.empty())


def write(path: Path, frames: Sequence[TrackedFrame], metadata: dict[str, str] | None = None) -> Path:
    with FeaturesSink(path, metadata) as sink:
        for frame in frames:
            sink.write(None, frame)
    return path


def rows(tensors: dict[str, NDArray[np.generic]], name: str, frame: int) -> NDArray[np.generic]:
    start, stop = tensors["offsets"][frame : frame + 2].tolist()
    return tensors[name][start:stop]


def test_keypoints_that_came_late_stand_under_their_own_frame(tmp_path: Path) -> None:
    found = keypoints(4)
    late = Detection(3, 0.1, 100_000_000, (32, 24), found)
    frame = TrackedFrame(make_frame(7, (64, 48), 0.23), None, Tracks.empty(), late=late)
    tensors = load_file(write(tmp_path / "f.safetensors", [tracked(6, None), frame]))
    assert tensors["frame"].tolist() == [3]
    assert tensors["time_s"].tolist() == [0.1]
    assert tensors["size_wh"].tolist() == [[32, 24]]
    np.testing.assert_array_equal(tensors["xy"], found.xy)


def test_what_was_found_comes_back(tmp_path: Path) -> None:
    found = [keypoints(5, 1), Keypoints.empty(DIM), keypoints(3, 2, np.float16)]
    frames = [
        tracked(0, found[0], time_s=0.1),
        tracked(1, None),
        tracked(2, found[1], (32, 24), time_s=0.5),
        tracked(5, found[2], time_s=1.25),
        tracked(6, None),
    ]
    tensors = load_file(write(tmp_path / "f.safetensors", frames))
    assert {name: (str(t.dtype), t.shape) for name, t in tensors.items()} == {
        "frame": ("int64", (3,)),
        "time_s": ("float64", (3,)),
        "time_ns": ("int64", (3,)),
        "size_wh": ("int32", (3, 2)),
        "offsets": ("int64", (4,)),
        "xy": ("float32", (8, 2)),
        "scores": ("float32", (8,)),
        "descriptors": ("float16", (8, DIM)),
    }
    assert tensors["frame"].tolist() == [0, 2, 5]
    assert tensors["time_s"].tolist() == [0.1, 0.5, 1.25]
    assert tensors["size_wh"].tolist() == [[64, 48], [32, 24], [64, 48]]
    assert tensors["offsets"].tolist() == [0, 5, 5, 8]
    for number, each in enumerate(found):
        assert np.array_equal(rows(tensors, "xy", number), each.xy)
        assert np.array_equal(rows(tensors, "scores", number), each.scores)
        assert np.array_equal(rows(tensors, "descriptors", number), each.descriptors.astype(np.float16))


@pytest.mark.parametrize(
    ("frames", "count"),
    [([], 0), ([tracked(0, None)], 0), ([tracked(0, Keypoints.empty(DIM))], 1)],
    ids=["no frames", "no detection", "no keypoints"],
)
def test_file_without_keypoints_is_whole(tmp_path: Path, frames: list[TrackedFrame], count: int) -> None:
    tensors = load_file(write(tmp_path / "f.safetensors", frames))
    assert tensors["frame"].shape == (count,)
    assert tensors["size_wh"].shape == (count, 2)
    assert tensors["offsets"].tolist() == [0] * (count + 1)
    assert tensors["xy"].shape == (0, 2)


@pytest.mark.parametrize("order", [1, -1])
def test_empty_frames_may_have_the_default_descriptor_length(tmp_path: Path, order: int) -> None:
    frames = [tracked(0, keypoints(4)), tracked(1, Keypoints.empty())][::order]
    assert load_file(write(tmp_path / "f.safetensors", frames))["descriptors"].shape == (4, DIM)


def test_views_of_larger_arrays_are_written_as_they_look(tmp_path: Path) -> None:
    large = keypoints(10)
    every_second = Keypoints(large.xy[::2], large.scores[::2], large.descriptors[::2])
    tensors = load_file(write(tmp_path / "f.safetensors", [tracked(0, every_second)]))
    assert np.array_equal(tensors["xy"], large.xy[::2])
    assert np.array_equal(tensors["scores"], large.scores[::2])


def test_metadata_is_in_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "f.safetensors", [tracked(0, keypoints(2))], {"model": "base", "source": "a.mp4"})
    with safe_open(path, "np") as file:
        assert file.metadata() == {"format": "realtime_kp features 1", "model": "base", "source": "a.mp4"}


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_file_has_the_mode_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = write(tmp_path / "f.safetensors", [tracked(0, keypoints(2))])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_only_the_finished_file_is_left(tmp_path: Path) -> None:
    write(tmp_path / "f.safetensors", [tracked(0, keypoints(2))])
    assert [path.name for path in tmp_path.iterdir()] == ["f.safetensors"]


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), FeaturesSink(tmp_path / "f.safetensors") as sink:  # noqa: PT012
        sink.write(None, tracked(0, keypoints(2)))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_an_older_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.safetensors"
    path.write_text("older")
    with pytest.raises(KeyError), FeaturesSink(path):
        raise KeyError
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["f.npz", "f", "f.safetensors.gz"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        check_features_name(tmp_path / name)
    with pytest.raises(ConfigError, match=name):
        FeaturesSink(tmp_path / name)


def test_missing_folder_is_an_error_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*f\.safetensors"):
        write(tmp_path / "gone" / "f.safetensors", [])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on the size of files")
def test_refused_last_write_is_an_error_of_the_output_and_leaves_nothing(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Each spooled part stays below the limit, all of them in one file do not.
    many = keypoints(20_000)
    limit = many.descriptors.astype(np.float16).nbytes + 4096
    sink = FeaturesSink(tmp_path / "f.safetensors").__enter__()
    sink.write(None, tracked(0, many))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(SinkError, match=r"cannot write .*f\.safetensors"):
            sink.__exit__(None, None, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_descriptors_of_another_length_are_refused(tmp_path: Path) -> None:
    def found(index: int, length: int) -> TrackedFrame:
        xy, scores = np.full((3, 2), 9, np.float32), np.ones(3, np.float32)
        keypoints = Keypoints(xy, scores, np.ones((3, length), np.float32))
        return TrackedFrame(make_frame(index), keypoints, Tracks.empty())

    path = tmp_path / "a.safetensors"
    with pytest.raises(SinkError, match="length 8, those of frame 1 have 4"):
        write(path, [found(0, 8), found(1, 4)])
    assert not path.exists()
