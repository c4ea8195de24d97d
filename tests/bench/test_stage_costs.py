from __future__ import annotations

from pathlib import Path

import pytest

from realtime_kp import SourceError
from realtime_kp.bench.reference_loops import ReferenceLoop, classical_step, time_loop
from realtime_kp.bench.stage_costs import measure_stage_costs
from realtime_kp.config import AppConfig, SuperPointConfig
from realtime_kp.sources import procedural_picture
from tests.conftest import numbered_image, write_clip

CONFIG = AppConfig(superpoint=SuperPointConfig(model="small", resize="128"))


def test_every_stage_is_measured_by_itself() -> None:
    pieces = {piece.stage: piece for piece in measure_stage_costs("demo", CONFIG, 4)}
    assert list(pieces) == ["grab", "resize", "network", "keypoints", "track", "draw", "output"]
    assert all(piece.p50_ms > 0 for piece in pieces.values())
    # A stage takes no less of the cores than it computes; waiting takes nothing.
    assert pieces["network"].core_ms > pieces["resize"].core_ms


def test_stopping_keeps_what_is_done() -> None:
    pieces = measure_stage_costs("demo", CONFIG, 4, stopped=lambda: True)
    assert [piece.stage for piece in pieces] == ["grab"]


def test_one_frame_is_too_few(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "one.mp4", [numbered_image(0)])
    with pytest.raises(SourceError, match="1 frames: too few"):
        measure_stage_costs(str(clip), CONFIG, 4)


@pytest.mark.parametrize("name", ["orb", "sift"])
def test_classical_loops_find_and_match(name: str) -> None:
    config = SuperPointConfig(max_keypoints=50, resize="320")
    images = [procedural_picture((320, 240), seed) for seed in range(3)]
    with classical_step(name, config) as step:
        found = time_loop(step, images, warmup=1)
    assert found.frames == 3
    assert 20 <= found.keypoints_per_frame <= 52
    assert found.fps == pytest.approx(1e3 / found.p50_ms, rel=0.9)


def test_the_median_is_taken_figure_by_figure() -> None:
    loops = [
        ReferenceLoop(5, 1.0, 30.0, 2.0, 7.0),
        ReferenceLoop(5, 3.0, 10.0, 1.0, 7.0),
        ReferenceLoop(5, 2, 20, 9, 7),
    ]
    assert ReferenceLoop.median_of(loops) == ReferenceLoop(5, 2.0, 20.0, 2.0, 7.0)
