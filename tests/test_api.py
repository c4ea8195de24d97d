from __future__ import annotations

import threading
from pathlib import Path

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
