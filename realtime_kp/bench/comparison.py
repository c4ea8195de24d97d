"""Settings of ours and loops of others, measured in turn so that a slow minute hits all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice

from realtime_kp.bench.latency import LoopResult, measure
from realtime_kp.bench.reference_loops import Image, ReferenceLoop, Step, classical_step, time_loop
from realtime_kp.bench.sweep import Settings, SweepRow, parse_sweep, with_settings
from realtime_kp.bench.transformers_loop import transformers_step
from realtime_kp.config import AppConfig, SuperPointConfig
from realtime_kp.sources import open_source

TRANSFORMERS = "transformers fp32"
_OTHERS: Mapping[str, Callable[[SuperPointConfig], AbstractContextManager[Step]]] = {
    TRANSFORMERS: transformers_step,
    "transformers half": partial(transformers_step, half=True),
    "ORB and matching": partial(classical_step, "orb"),
    "SIFT and matching": partial(classical_step, "sift"),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians over the rounds.

    Attributes:
        rows: Ours, one for each combination of settings that is swept; as set, where none is.
        others: Other loops by name.
    """

    rows: list[SweepRow]
    others: Mapping[str, ReferenceLoop]

    @property
    def transformers(self) -> ReferenceLoop | None:
        """Transformers' own loop in fp32, where it was measured."""
        return self.others.get(TRANSFORMERS)


def planned(config: AppConfig) -> int:
    """How many measurements a comparison takes.

    Raises:
        ConfigError: The sweep cannot be read, or a value is impossible.
    """
    settings = _settings(config)
    for each in settings:
        with_settings(config, each)
    return config.bench.rounds * (len(settings) + (len(_OTHERS) if config.bench.compare else 0))


def run_comparison(
    source: str,
    config: AppConfig,
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[], None] = lambda: None,
) -> Comparison | None:
    """Measure what `bench.sweep` and `bench.compare` ask for, `bench.rounds` times in turn.

    Args:
        source: What to read.
        config: All settings.
        stopped: Asked often whether to end early.
        progress: Called after every measurement.

    Returns:
        None where it was stopped before the first round was done; else the rounds that are whole.
    """
    settings = _settings(config)
    images = _images(source, config) if config.bench.compare else []
    ours: list[list[LoopResult]] = []
    theirs: list[dict[str, ReferenceLoop]] = []
    for _ in range(config.bench.rounds):
        loops = []
        for each in settings:
            loop = measure(source, with_settings(config, each), stopped=stopped)
            if loop is None or stopped():
                break
            loops.append(loop)
            progress()
        others = {}
        for name, open_step in _OTHERS.items() if images else ():
            if stopped():
                break
            with open_step(config.superpoint) as step:
                others[name] = time_loop(step, images)
            progress()
        if stopped():
            break
        ours.append(loops)
        theirs.append(others)
    if not ours:
        return None
    rows = [SweepRow.of(each, list(rounds)) for each, *rounds in zip(settings, *ours, strict=True)]
    return Comparison(rows, {name: ReferenceLoop.median_of([r[name] for r in theirs]) for name in theirs[0]})


def _settings(config: AppConfig) -> list[Settings]:
    if config.bench.sweep is not None:
        return parse_sweep(config.bench.sweep)
    return [{}] if config.bench.compare else []


def _images(source: str, config: AppConfig) -> list[Image]:
    """The first of the frames that ours are measured on."""
    count = config.bench.compare_frames
    with open_source(source, config.input) as opened:
        return [frame.image_bgr for frame in islice(opened, config.bench.warmup + count)][-count:]
