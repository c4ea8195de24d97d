"""Step: the whole `video` command, to see where the CPU becomes the limit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.gpu_steps import Record, Settings
from benchmarks.gpu_steps.frames import moving_frames
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, TrackedFrame, Tracks
from realtime_kp.sinks import VideoFileSink

_FRAMES = 300


def run(settings: Settings, record: Record) -> None:
    """Run `video` on a clip: each model, compiled batches, and a table instead of a video; then `live`."""
    size_wh = settings.sizes_wh[0]
    with tempfile.TemporaryDirectory(prefix="realtime-kp-") as name:
        folder = Path(name)
        clip = _clip(folder / "clip.mp4", size_wh, 6 if settings.tiny else _FRAMES)
        for model in settings.models:
            record(f"video, {model}", _video(clip, folder, settings, ["--model", model]))
        flags = ["--model", settings.models[0]]
        compiled = [*flags, "--batch", "2" if settings.tiny else "8", "--compile"]
        record(f"video, {' '.join(compiled)}", _video(clip, folder, settings, compiled))
        no_pictures = [*flags, "--no-video", "--tracks", str(folder / "t.csv")]
        record("video, tracks table only", _video(clip, folder, settings, no_pictures))
        live = ["bench", "demo", "--rate", "30", "--overwrite", "--frames", "6" if settings.tiny else "150"]
        record("bench, as live at 30 frames/s", _command([*live, *_common(settings, folder)], folder))


def _video(clip: Path, folder: Path, settings: Settings, flags: list[str]) -> dict[str, Any]:
    found = _command(["video", str(clip), "--overwrite", *flags, *_common(settings, folder)], folder)
    keys = ("error", "fps", "wall_s", "time_to_first_frame_s", "device", "precision", "keypoints_per_frame")
    stages = {stage: times["p50"] for stage, times in found.get("latency_ms", {}).items()}
    return {key: found[key] for key in keys if key in found} | {"p50_ms": stages}


def _common(settings: Settings, folder: Path) -> list[str]:
    return ["--device", settings.device, "--summary", str(folder / "summary.json"), "-q"]


def _command(arguments: list[str], folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "realtime_kp", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        return {"error": f"exit code {done.returncode}: {done.stderr.strip()[-400:]}"}
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def _clip(path: Path, size_wh: tuple[int, int], frames: int) -> Path:
    """Encode the scene back and forth: rendering is slower than what is measured."""
    images = moving_frames(size_wh, min(frames, 60))
    there_and_back = [*images, *images[::-1]]
    with VideoFileSink(path) as sink:
        for i in range(frames):
            image = there_and_back[i % len(there_and_back)]
            frame = Frame(i, i / 30, 0.0, image)
            sink.write(image, TrackedFrame(frame, Keypoints.empty(), Tracks.empty()))
    return path
