from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import realtime_kp as rk
from realtime_kp import many
from realtime_kp.errors import ConfigError
from realtime_kp.sinks import TRACK_COLUMNS, track_rows
from realtime_kp.sources.demo import DemoSpec
from tests.conftest import write_clip

SMALL = {"model": "small", "resize": "64", "max_keypoints": 50}


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(2):
        scene = DemoSpec.parse(f"demo?size=96x64&seed={number}").scene()
        paths.append(write_clip(tmp_path / f"c{number}.mp4", [scene.render(index) for index in range(15)]))
    return paths


def rows_of(path: Path) -> list[tuple[object, ...]]:
    return [row for tracked in rk.track(path, **SMALL) for row in track_rows(tracked)]


def test_tables_of_videos_are_those_of_each_alone(clips: list[Path], tmp_path: Path) -> None:
    worker = many.VideoTables(rk.api._with_settings(rk.AppConfig(), dict(SMALL)))
    missing = str(tmp_path / "none.mp4")
    table = worker({"video": [str(clips[0]), missing, str(clips[1])]})
    assert list(table) == ["video", *(column.name for column in TRACK_COLUMNS), "error"]
    for path in clips:
        mask = table["video"] == str(path)
        expected = rows_of(path)
        assert len(expected) > 20
        assert mask.sum() == len(expected)
        assert table["track_id"][mask].tolist() == [row[2] for row in expected]
        np.testing.assert_array_equal(table["x"][mask], [row[3] for row in expected])
    (error,) = table["error"][table["video"] == missing]
    assert "there is no file" in error


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # those of Ray itself
def test_a_dataset_of_ray(clips: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="needs pip install 'ray[data]'")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        found = rk.track_many(clips, **SMALL).to_pandas()
    finally:
        ray.shutdown()
    assert sorted(found["video"].unique()) == sorted(map(str, clips))
    for path in clips:
        assert found[found["video"] == str(path)]["track_id"].tolist() == [row[2] for row in rows_of(path)]


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"track_many\(\) needs ray: pip install 'realtime-kp\[ray\]'"):
        rk.track_many(["a.mp4"])
    with pytest.raises(ConfigError, match="workers must be at least 1"):
        rk.track_many(["a.mp4"], workers=0)
    with pytest.raises(ConfigError, match="no setting 'colour'"):
        rk.track_many(["a.mp4"], colour="red")
