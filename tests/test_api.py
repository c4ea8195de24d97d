from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import realtime_kp as rk
from tests.conftest import DATA, within

FAST = {"resize": "160", "max_keypoints": 200}


def test_track_gives_every_frame_of_a_file() -> None:
    results = list(rk.track(DATA / "box.mp4", max_frames=12, **FAST))
    assert [r.frame.index for r in results] == list(range(12))
    assert results[-1].frame.image_bgr.shape == (480, 640, 3)
    assert results[-1].keypoints is not None
    with rk.SuperPoint(**FAST) as superpoint:
        alone = superpoint(results[-1].frame.image_bgr)
    assert len(alone) > 20
    np.testing.assert_allclose(results[-1].keypoints.xy, alone.xy, atol=1e-3)
    assert len(results[-1].tracks.confirmed) > 20


def test_closing_the_generator_joins_the_threads() -> None:
    results = rk.track("demo", **FAST)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert within(2, lambda: not [t for t in threading.enumerate() if t.name.startswith("realtime-kp")])


def test_settings_of_network_and_tracker_go_where_they_belong() -> None:
    last = list(rk.track("demo?frames=4", confirm_after=1, resize="160", max_keypoints=50))[-1]
    assert last.keypoints is not None
    assert len(last.keypoints) <= 50
    assert len(last.tracks.confirmed) > 10


def test_settings_of_the_input_say_where_to_look(tmp_path: Path) -> None:
    file = tmp_path / "mask.png"
    cv2.imwrite(str(file), np.repeat(np.array([[0, 255]], np.uint8), 2, axis=0))
    frames = list(rk.track("demo:?frames=6&size=320x240", mask=file, roi="0,0,320,120", model="small"))
    xy = frames[-1].tracks.xy
    assert len(xy) > 20
    assert (np.rint(xy[:, 0]) >= 160).all()
    assert (np.rint(xy[:, 1]) < 120).all()


def test_a_configuration_file_serves_the_api(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("superpoint:\n  resize: '160'\n  max_keypoints: 30\n")
    config = rk.load_config(tmp_path / "mine.yaml")
    first = next(iter(rk.track("demo?frames=1", config=config)))
    assert first.keypoints is not None
    assert len(first.keypoints) == 30


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rk.track("demo", modell="base"), rk.ConfigError, "modell"),
        (lambda: rk.track("demo", nms_radius=-1), rk.ConfigError, "-1"),
        (lambda: list(rk.track("nothing.mp4")), rk.SourceError, "nothing.mp4"),
        (lambda: list(rk.track("demo", model="nothing")), rk.ModelError, "nothing"),
    ],
)
def test_errors_are_the_packages_own(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()  # type: ignore[operator]


IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_frames": 0}, "max_frames must be at least 1, got 0"),
        ({"max_frames": -3}, "max_frames must be at least 1, got -3"),
        ({"max_frames": 2.5}, "max_frames must be a whole number or None, got 2.5"),
        ({"max_frames": True}, "max_frames must be a whole number or None, got True"),
        ({"policy": "fast"}, "policy must be block, drop_oldest or auto, got 'fast'"),
        ({"config": {}}, "config must be an AppConfig, as load_config() returns it, got {}"),
        ({"max_keypoints": 5.5}, "max_keypoints must be a whole number, got 5.5"),
    ],
)
def test_settings_of_track_are_checked_before_anything_runs(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(rk.ConfigError) as caught:
        rk.track("demo", **settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "source", [None, True, -1, 1.5, b"clip.mp4", [], {}, "", "a\0b", Path("a\0b"), IMAGE]
)
def test_what_names_no_source_is_told(source: Any) -> None:
    wanted = "a source is a camera index from 0, a name, an address or a Path, got "
    for make in (rk.track, rk.open_source):
        with pytest.raises(rk.SourceError) as caught:
            make(source)
        assert str(caught.value).startswith(wanted)
        assert "\n" not in str(caught.value)


def test_an_open_file_is_no_source() -> None:
    with open(__file__, "rb") as file, pytest.raises(rk.SourceError, match="a source is a camera index"):
        rk.track(file)  # type: ignore[arg-type]


def test_a_path_is_always_a_file_or_folder(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("7", "demo", "demo:photo.jpg", "rtsp:"):
        path = clip.rename(clip.with_name(name))
        with rk.open_source(Path(name)) as source:  # type: ignore[arg-type]
            assert source.info.name == name
            assert len(list(source)) == 12
        path.rename(clip)
    (tmp_path / "8").mkdir()
    cv2.imwrite("8/0.png", IMAGE)
    results = list(rk.track(Path("8"), model="small", **FAST))
    assert [Path(result.frame.origin) for result in results] == [Path("8/0.png")]
    with pytest.raises(rk.SourceError, match="there is no file 9"), rk.open_source(Path("9")):
        pass
    for camera in ("7", 7):
        with pytest.raises(rk.SourceError, match="camera"), rk.open_source(camera):
            pass


@pytest.fixture(scope="module")
def superpoint() -> Iterator[rk.SuperPoint]:
    with rk.SuperPoint(model="small", **FAST) as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (None, "got None"),
        ([], "got a list"),
        ([[1, 2], [3, 4]], "got a list"),
        ("picture.png", "got a str"),
        (np.zeros((0, 0, 3), np.uint8), "not empty, got (0, 0, 3) uint8"),
        (IMAGE[:0], "not empty, got (0, 64, 3) uint8"),
        (IMAGE[..., 0], "got (48, 64) uint8; cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) makes BGR of grey"),
        (IMAGE / 255, "got (48, 64, 3) float64"),
        (np.array(None), "got () object"),
    ],
)
def test_what_is_no_image_is_told(superpoint: rk.SuperPoint, image: Any, got: str) -> None:
    for call in (
        superpoint,
        superpoint.extract,
        lambda one: superpoint.submit([one]),
        lambda one: superpoint.extract_batch([one]),
        lambda one: superpoint.prepare([one]),
        lambda one: rk.Frame(0, 0.0, 0.0, one),
    ):
        with pytest.raises(rk.ArgumentError) as caught:
            call(image)
        assert str(caught.value).startswith("an image must be ")
        assert str(caught.value).endswith(got)


@pytest.mark.parametrize("images", [[], (), None, "ab", IMAGE, {1: IMAGE}, iter([IMAGE])])
def test_what_is_no_batch_is_told(superpoint: rk.SuperPoint, images: Any) -> None:
    calls: list[Any] = [superpoint.submit, superpoint.prepare]
    calls += [] if isinstance(images, list | tuple) else [superpoint.extract_batch]
    for call in calls:
        with pytest.raises(rk.ArgumentError, match="a batch is a list of images, such as"):
            call(images)


@pytest.mark.parametrize("threshold", [2, -0.1, math.nan, "0.5"])
def test_a_threshold_that_is_none_is_told(superpoint: rk.SuperPoint, threshold: Any) -> None:
    with pytest.raises(rk.ConfigError, match="keypoint_threshold must be 0 to 1, got"):
        superpoint.extract(IMAGE, threshold)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rk.Tracker().update(IMAGE, None), rk.ArgumentError, "got ndarray and NoneType"),
        (lambda: rk.Tracker().update(None, None), rk.ArgumentError, "got NoneType and NoneType"),
        (lambda: rk.Tracker().update(rk.Frame(0, 0.0, 0.0, IMAGE), []), rk.ArgumentError, "Frame and list"),
        (lambda: rk.Tracker(trail_length=2.5), rk.ConfigError, "trail_length must be a whole number .* 2.5"),
        (lambda: rk.Tracker({"max_age": 3}), rk.ConfigError, "Tracker takes a TrackingConfig"),
        (lambda: rk.SuperPoint("base"), rk.ConfigError, "SuperPoint takes a SuperPointConfig"),
        (lambda: rk.Frame(-1, 0.0, 0.0, IMAGE), rk.ArgumentError, "index must be a whole number from 0"),
        (lambda: rk.Frame(None, 0.0, 0.0, IMAGE), rk.ArgumentError, "index must be a whole number from 0"),
        (lambda: rk.Frame(0, "1", 0.0, IMAGE), rk.ArgumentError, "time_s must be a finite number, got '1'"),
        (lambda: rk.Keypoints([], [], []), rk.ArgumentError, "xy must be an array, got a list"),
        (lambda: rk.load_config(None), rk.ConfigError, "takes the name of a YAML file, got None"),
    ],
)
def test_arguments_of_another_kind_are_told(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_parts_work_alone() -> None:
    with rk.open_source("demo?frames=5") as source, rk.SuperPoint(**FAST) as superpoint:  # type: ignore[arg-type]
        tracker = rk.Tracker(max_age=10, confirm_after=2)
        for frame in source:
            tracks = tracker.update(frame, superpoint(frame.image_bgr))
    assert len(tracks.confirmed) > 20
    assert all(isinstance(track, rk.Track) for track in tracks)


def test_a_source_of_ones_own() -> None:
    from tests.pipeline.test_pipeline import ListSource

    results = list(rk.track(ListSource(3), **FAST))
    assert len(results) == 3
    assert np.isfinite(results[-1].frame.time_s)
