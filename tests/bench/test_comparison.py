from __future__ import annotations

from dataclasses import replace

from realtime_kp.bench.comparison import TRANSFORMERS, compared_loops
from realtime_kp.config import AppConfig, SuperPointConfig


def test_transformers_is_compared_where_it_has_the_network() -> None:
    config = AppConfig()
    small, nano = (
        compared_loops(replace(config, superpoint=SuperPointConfig(model=model, device="cpu")))
        for model in ("small", "nano")
    )
    assert TRANSFORMERS in small
    assert set(nano) == {"ORB and matching", "SIFT and matching"}
