"""Alternating measurement of several settings and reference loops, so that drift affects all alike."""

from __future__ import annotations

import logging
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
from realtime_kp.features.engines.selection import choose_device, has_native_half
from realtime_kp.features.weights_store import find_weights
from realtime_kp.sources import open_source

log = logging.getLogger(__name__)

TRANSFORMERS = "transformers fp32"
HALF = "transformers half"
OpenStep = Callable[[SuperPointConfig], AbstractContextManager[Step]]
_OTHERS: Mapping[str, OpenStep] = {
    TRANSFORMERS: transformers_step,
    HALF: partial(transformers_step, half=True),
    "ORB and matching": partial(classical_step, "orb"),
    "SIFT and matching": partial(classical_step, "sift"),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians over the rounds.

    Attributes:
        rows: Our pipeline, one row per combination of swept settings, or one row without a sweep.
        others: Reference loops by name.
    """

    rows: list[SweepRow]
    others: Mapping[str, ReferenceLoop]

    @property
    def transformers(self) -> ReferenceLoop | None:
        """The loop of transformers in fp32, if it was measured."""
        return self.others.get(TRANSFORMERS)


def planned(config: AppConfig) -> int:
    """Number of measurements in a comparison.

    Raises:
        ConfigError: The sweep cannot be parsed, or a value is invalid.
    """
    settings = _settings(config)
    for each in settings:
        with_settings(config, each)
    return config.bench.rounds * (
        len(settings) + (len(compared_loops(config)) if config.bench.compare else 0)
    )


def compared_loops(config: AppConfig) -> dict[str, OpenStep]:
    """The reference loops that are measured, by name.

    Those of transformers are left out where it does not have the network, and its half precision where the
    CPU would imitate it.
    """
    others = dict(_OTHERS)
    if find_weights(config.superpoint.model).is_residual:
        del others[TRANSFORMERS], others[HALF]
    elif not has_native_half(choose_device(config.superpoint.device)):
        del others[HALF]
    return others


def run_comparison(
    source: str,
    config: AppConfig,
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[], None] = lambda: None,
) -> Comparison | None:
    """Run the measurements of `bench.sweep` and `bench.compare` in `bench.rounds` alternating rounds.

    Args:
        source: The source to read.
        config: All settings.
        stopped: Called often; True ends the measurement early.
        progress: Called after each measurement.

    Returns:
        Medians over the complete rounds; None if stopped during the first one.
    """
    settings = _settings(config)
    images = _images(source, config) if config.bench.compare else []
    compared = compared_loops(config) if images else {}
    if images and TRANSFORMERS not in compared:
        log.info("transformers is left out: it does not have the network of %s", config.superpoint.model)
    elif images and HALF not in compared:
        log.info("transformers in half precision is left out: this CPU would only imitate it")
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
        for name, open_step in compared.items():
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
    """The first frames of those that our pipeline is measured on."""
    count = config.bench.compare_frames
    with open_source(source, config.input) as opened:
        return [frame.image_bgr for frame in islice(opened, config.bench.warmup + count)][-count:]
