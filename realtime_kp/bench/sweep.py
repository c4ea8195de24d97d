"""Parameter sweeps: combinations of settings and their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from realtime_kp.bench.latency import LoopResult
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError

# Axes of a sweep: section, field, and parser of the values.
_AXES: Mapping[str, tuple[str, str, Callable[[str], Any]]] = {
    "model": ("superpoint", "model", str),
    "precision": ("superpoint", "precision", str),
    "engine": ("superpoint", "engine", str),
    "device": ("superpoint", "device", str),
    "resize": ("superpoint", "resize", str),
    "keypoints": ("superpoint", "max_keypoints", int),
    "tracker": ("tracking", "kind", str),
    "batch": ("pipeline", "batch", int),
}

Settings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SweepRow:
    """Medians over all rounds for one combination of settings.

    Attributes:
        settings: Values by axis; empty for the configuration as given.
        fps: Frames per second.
        fps_rounds: The same, for each round.
        core_ms: Processor time of all threads per frame.
        keypoints_per_frame: Mean number of keypoints.
        inference_size: Width and height of the network input.
        stage_ms: Median of each stage.
    """

    settings: Settings
    fps: float
    fps_rounds: tuple[float, ...]
    core_ms: float
    keypoints_per_frame: float
    inference_size: tuple[int, int]
    stage_ms: Mapping[str, float]

    @property
    def name(self) -> str:
        """The values, separated by spaces."""
        return " ".join(self.settings.values()) or "this pipeline"

    @classmethod
    def of(cls, settings: Settings, rounds: list[LoopResult]) -> SweepRow:
        """Medians over the rounds."""
        fps = tuple(loop.fps for loop in rounds)
        return cls(
            settings,
            float(np.median(fps)),
            fps,
            float(np.median([loop.core_ms for loop in rounds])),
            float(np.mean([loop.keypoints_per_frame for loop in rounds])),
            rounds[0].inference_size or (0, 0),
            {
                stage: float(np.median([loop.latency[stage].p50 for loop in rounds]))
                for stage in rounds[0].latency
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """As values of the summary."""
        return {
            "settings": dict(self.settings),
            "fps": round(self.fps, 3),
            "fps_rounds": [round(fps, 3) for fps in self.fps_rounds],
            "core_ms": round(self.core_ms, 2),
            "keypoints_per_frame": round(self.keypoints_per_frame, 1),
            "inference_size": list(self.inference_size),
            "p50_ms": {stage: round(ms, 3) for stage, ms in self.stage_ms.items()},
        }


def parse_sweep(text: str) -> list[Settings]:
    """Parse a sweep such as `model=base,small precision=bf16,int8` into all its combinations.

    Raises:
        ConfigError: An axis is unknown, named twice, or has no values.
    """
    axes: dict[str, list[str]] = {}
    for part in text.split():
        name, _, values = part.partition("=")
        if name not in _AXES:
            raise ConfigError(f"--sweep takes {', '.join(_AXES)}, got {part!r}")
        if name in axes:
            raise ConfigError(f"--sweep names {name} twice")
        axes[name] = [value for value in values.split(",") if value]
        if not axes[name]:
            raise ConfigError(f"--sweep {part} has no values; write {name}=A,B")
    if not axes:
        raise ConfigError("--sweep is empty; write for instance 'resize=320,640 precision=bf16,int8'")
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def with_settings(config: AppConfig, settings: Settings) -> AppConfig:
    """A configuration with some fields replaced.

    Raises:
        ConfigError: A value is invalid.
    """
    for name, value in settings.items():
        section, field, read = _AXES[name]
        try:
            changed = replace(getattr(config, section), **{field: read(value)})
        except ValueError as exc:
            raise ConfigError(f"--sweep {name}={value}: {value!r} is not a whole number") from exc
        config = replace(config, **{section: changed})
    return config
