"""`doctor`: checks of this machine, with a real inference on each engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from realtime_kp.apps.exit_codes import DONE, MODEL
from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import RealtimeKpError, first_line
from realtime_kp.features import SuperPoint
from realtime_kp.keypoints import Keypoints
from realtime_kp.machine import describe_machine, missing_system_packages
from realtime_kp.sources import procedural_picture

_WITHIN_PX = 1.0
_MIN_OVERLAP = 0.97
_MIN_COSINE = 0.99


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        topic: What was checked.
        text: The result.
        problem: How to fix it; None where nothing is wrong.
    """

    topic: str
    text: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two sets of keypoints of one frame.

    Attributes:
        overlap: Share of the reference keypoints with another one within 1 px.
        cosine: Mean cosine of the descriptors of these pairs.
    """

    overlap: float
    cosine: float


def run_doctor(config: SuperPointConfig, console: Console) -> int:
    """Run all checks and print the results.

    Returns:
        0, or 4 where something is wrong; how to fix it is printed last.
    """
    problems = []
    for finding in _findings(config):
        mark = ("ok", "green") if finding.problem is None else ("!!", "red")
        console.print(Text.assemble(mark, " ", (finding.topic, "bold"), f": {finding.text}"), highlight=False)
        if finding.problem is not None:
            problems.append(finding)
    for finding in problems:
        console.print(f"to mend {finding.topic}: {finding.problem}", highlight=False)
    if not problems:
        console.print("all is well", highlight=False)
    return MODEL if problems else DONE


def _findings(config: SuperPointConfig) -> Iterator[Finding]:
    machine = describe_machine()
    yield Finding(
        "machine",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}",
    )
    versions = machine["versions"]
    assert isinstance(versions, dict)
    yield Finding("versions", ", ".join(f"{name} {number}" for name, number in versions.items()))
    yield from (_libraries(), _codecs(), _cameras(), _window(), _weights(config))
    yield from _engines(config)
    yield _accelerators()


def _libraries() -> Finding:
    missing = missing_system_packages()
    if missing:
        return Finding("system libraries", "some are missing", f"apt-get install {' '.join(missing)}")
    return Finding("system libraries", "complete")


def _codecs() -> Finding:
    import av

    wanted = {
        "libx264": "H.264 encoding",
        "h264": "H.264 decoding",
        "hevc": "HEVC decoding",
        "vp9": "VP9 decoding",
    }
    missing = [use for name, use in wanted.items() if name not in av.codecs_available]
    if missing:
        return Finding("codecs", f"missing: {', '.join(missing)}", "pip install --force-reinstall av")
    return Finding("codecs", ", ".join(wanted.values()))


def _cameras() -> Finding:
    if not sys.platform.startswith("linux"):
        return Finding("cameras", "not listed on this system; try `realtime-kp live 0`")
    found = sorted(Path("/dev").glob("video*"))
    # A missing camera is no problem: files, streams and the demo scene work.
    return Finding("cameras", ", ".join(map(str, found)) if found else "none")


def _window() -> Finding:
    from realtime_kp.sinks import window_problem

    problem = window_problem()
    return Finding("window", "yes" if problem is None else f"no: {problem}; `live` runs headless")


def _weights(config: SuperPointConfig) -> Finding:
    from realtime_kp.features.weights_store import BUNDLED, bundled_models, find_weights

    aliases = {name: alias for alias, name in BUNDLED.items()}
    bundled = ", ".join(
        f"{name} (--model {aliases.get(name, name)}, Apache-2.0)" for name in bundled_models()
    )
    try:
        ref = find_weights(config.model)
    except RealtimeKpError as exc:
        return Finding("weights", f"bundled: {bundled}", str(exc))
    return Finding("weights", f"bundled: {bundled}; chosen: {ref.name} ({ref.licence or 'licence unknown'})")


def _accelerators() -> Finding:
    """Intel's GPUs and NPUs, which were tried with the engines where there are any."""
    from realtime_kp.features.engines.openvino_engine import openvino_problem, other_devices

    found = other_devices() if openvino_problem() is None else ()
    text = ", ".join(found) if found else "none found, so --device gpu and npu are not tried"
    return Finding("other devices of OpenVINO", text)


def _engines(config: SuperPointConfig) -> Iterator[Finding]:
    """Run each engine once and compare lower precisions with full precision on the same frame."""
    image = procedural_picture((640, 480))
    reference: Keypoints | None = None
    for engine, device, precision in _combinations(config):
        topic = f"{engine} {device} {precision}"
        settings = replace(config, engine=engine, device=device, precision=precision)  # type: ignore[arg-type]
        try:
            keypoints, took_ms = _infer(settings, image)
        except (RealtimeKpError, RuntimeError) as exc:  # a driver's failure is what the doctor is for
            yield Finding(topic, "does not work", first_line(exc))
            continue
        text = f"{len(keypoints)} keypoints in {took_ms:.0f} ms"
        if reference is None:
            reference = keypoints
            problem = (
                None if len(keypoints) else "no keypoints on the demo scene: are these SuperPoint weights?"
            )
            yield Finding(topic, text, problem)
            continue
        alike = agreement(reference, keypoints)
        text += (
            f"; against full precision {alike.overlap:.1%} within 1 px, descriptor cosine {alike.cosine:.4f}"
        )
        # Agreement of int8 is only reported; half precision must meet the thresholds.
        good = precision == "int8" or (alike.overlap >= _MIN_OVERLAP and alike.cosine >= _MIN_COSINE)
        yield Finding(topic, text, None if good else f"do not use {topic} here; report this")


def _combinations(config: SuperPointConfig) -> Iterator[tuple[str, str, str]]:
    """Engines and precisions to try: full precision in torch first, then all that machine and flags admit."""
    import torch

    from realtime_kp.features.engines.onnxruntime_engine import available_devices, onnxruntime_problem
    from realtime_kp.features.engines.openvino_engine import cpu_precisions, openvino_problem, other_devices

    yield "torch", "cpu", "fp32"
    others = [("torch", "cpu", "bf16")]
    if openvino_problem() is None:
        others += [("openvino", "cpu", precision) for precision in reversed(cpu_precisions())]
        if _has_int8(config):
            others.append(("openvino", "cpu", "int8"))
        others += [("openvino", device, "fp16") for device in other_devices()]
    if onnxruntime_problem() is None:
        others += [("onnxruntime", one, "fp32" if one == "cpu" else "fp16") for one in available_devices()]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        others += [("torch", f"cuda:{number}", precision) for precision in ("fp32", "fp16", "bf16")]
    if torch.backends.mps.is_available():
        others += [("torch", "mps", precision) for precision in ("fp32", "fp16", "bf16")]
    device = "cuda:0" if config.device == "cuda" else config.device
    wanted = (config.engine, device, config.precision)
    fitting = [found for found in others if all(w in ("auto", f) for w, f in zip(wanted, found, strict=True))]
    # A requested combination that is not available is tried as well: its error says why.
    reference = all(w in ("auto", f) for w, f in zip(wanted, ("torch", "cpu", "fp32"), strict=True))
    yield from fitting if fitting or reference else [wanted]


def _has_int8(config: SuperPointConfig) -> bool:
    from realtime_kp.features.weights_store import find_weights

    try:
        return find_weights(config.model).int8_file is not None
    except RealtimeKpError:
        return False  # told with the weights


def _infer(config: SuperPointConfig, image: NDArray[np.uint8]) -> tuple[Keypoints, float]:
    with SuperPoint(config) as superpoint:
        superpoint(image)
        started_s = time.perf_counter()
        keypoints = superpoint(image)
        return keypoints, (time.perf_counter() - started_s) * 1e3


def agreement(reference: Keypoints, other: Keypoints) -> Agreement:
    """Compare two sets of keypoints: overlap within 1 px and similarity of descriptors."""
    if len(reference) == 0 or len(other) == 0:
        return Agreement(0.0, 0.0)
    gaps = np.linalg.norm(reference.xy[:, None] - other.xy[None], axis=2)
    nearest = gaps.argmin(axis=1)
    near = gaps[np.arange(len(reference)), nearest] <= _WITHIN_PX
    if not near.any():
        return Agreement(0.0, 0.0)
    a = reference.descriptors[near].astype(np.float32)
    b = other.descriptors[nearest[near]].astype(np.float32)
    return Agreement(float(near.mean()), float((a * b).sum(axis=1).mean()))
