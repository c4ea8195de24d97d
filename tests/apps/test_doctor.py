from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from realtime_kp import Keypoints
from realtime_kp.apps.doctor import agreement, run_doctor
from realtime_kp.config import SuperPointConfig


def points(*xy: tuple[float, float]) -> Keypoints:
    n = len(xy)
    descriptors = np.eye(4, dtype=np.float32)[np.arange(n) % 4]
    return Keypoints(np.array(xy, np.float32).reshape(n, 2), np.ones(n, np.float32), descriptors)


def test_agreement_counts_neighbours_within_a_pixel() -> None:
    found = agreement(points((10, 10), (50, 50)), points((10.5, 10), (60, 50)))
    assert found.overlap == 0.5
    assert found.cosine == 1.0


def test_agreement_with_nothing() -> None:
    assert agreement(points((1, 1)), points()).overlap == 0


@pytest.mark.slow
def test_the_doctor_runs_every_engine_and_is_content() -> None:
    out = io.StringIO()
    code = run_doctor(SuperPointConfig(), Console(file=out, width=200))
    text = out.getvalue()
    assert code == 0, text
    for part in (
        "torch cpu fp32",
        "openvino cpu int8",
        "within 1 px",
        "superpoint-open",
        "Apache-2.0",
        "H.264",
        "cameras",
        "window",
    ):
        assert part in text


def test_the_doctor_names_what_is_wrong() -> None:
    out = io.StringIO()
    assert run_doctor(SuperPointConfig(model="nothing"), Console(file=out, width=200)) == 4
    assert "to mend weights: unknown model 'nothing'" in out.getvalue()


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (SuperPointConfig(model="small", device="cuda:7"), "there is no cuda:7"),
        (SuperPointConfig(model="small", precision="fp16", device="cpu"), "fp16 is for GPUs"),
    ],
)
def test_the_doctor_tries_what_was_asked_for(config: SuperPointConfig, why: str) -> None:
    out = io.StringIO()
    assert run_doctor(config, Console(file=out, width=200)) == 4
    assert why in out.getvalue()
