"""What all tests share: clips made on the spot, a stub network, and a watch for threads left behind."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.features import Extraction, ModelInfo
from realtime_kp.features.extractor import Results
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[1].parent / "shared" / "data"

Image = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def no_thread_outlives_a_test() -> Iterator[None]:
    yield
    deadline_s = time.perf_counter() + 2
    while ours := [t.name for t in threading.enumerate() if t.name.startswith("realtime-kp")]:
        assert time.perf_counter() < deadline_s, f"threads left behind: {ours}"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def numbered_image(number: int, size_wh: tuple[int, int] = (64, 48)) -> Image:
    """A grey picture whose level tells its number, and survives encoding."""
    level = 20 + (number * 9) % 216
    return np.full((size_wh[1], size_wh[0], 3), level, np.uint8)


def write_clip(
    path: Path,
    images: Sequence[Image],
    *,
    fps: int = 25,
    codec: str = "libx264",
    times_s: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode pictures to a video file with PyAV, at a fixed rate or at the times given."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            time_s = number / fps if times_s is None else times_s[number]
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames of 64 × 48 at 25 a second; the grey level tells the number."""
    return write_clip(tmp_path / "clip.mp4", [numbered_image(i) for i in range(12)])


class StubExtractor:
    """A network that finds a fixed grid of keypoints; faults and delays can be ordered."""

    def __init__(
        self,
        *,
        fail_at: int | None = None,
        delay_s: float = 0.0,
        fail_to_load: bool = False,
        depth: int = 1,
    ) -> None:
        self.depth = depth
        self.batches: list[int] = []
        self.niceness: int | None = None
        self.fail_at = fail_at
        self.delay_s = delay_s
        self.fail_to_load = fail_to_load
        self.calls = 0
        self.thresholds: list[float | None] = []
        rng = np.random.default_rng(0)
        self._xy = np.stack(np.meshgrid(np.arange(8, 60, 8), np.arange(8, 44, 8)), -1).reshape(-1, 2)
        descriptors = rng.normal(size=(len(self._xy), 32))
        self._descriptors = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)

    def __enter__(self) -> Self:
        if self.fail_to_load:
            raise RuntimeError("the stub does not load")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("stub", None, "", "cpu", "stub", "fp32", 32)

    def network_size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        return source_wh

    def warm_up(self, source_wh: tuple[int, int], interval_s: float | None = None, batch: int = 1) -> None:
        return

    @property
    def in_flight(self) -> int:
        return self.depth

    def submit(self, images_bgr: Sequence[Image], keypoint_threshold: float | None = None) -> Results:
        self.batches.append(len(images_bgr))
        if sys.platform.startswith("linux"):
            self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        found = [self._extract(keypoint_threshold) for _ in images_bgr]
        return lambda: found

    def _extract(self, keypoint_threshold: float | None) -> Extraction:
        self.thresholds.append(keypoint_threshold)
        if self.calls == self.fail_at:
            raise RuntimeError("the stub fails as ordered")
        self.calls += 1
        time.sleep(self.delay_s)
        n = len(self._xy)
        keypoints = Keypoints(
            self._xy.astype(np.float32), np.full(n, 0.5, np.float32), self._descriptors.astype(np.float32)
        )
        return Extraction(keypoints, 0.1, 0.2, 0.3)


def make_frame(index: int = 0, size_wh: tuple[int, int] = (64, 48), time_s: float | None = None) -> Frame:
    return Frame(
        index, index / 30 if time_s is None else time_s, time.perf_counter(), numbered_image(index, size_wh)
    )


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    deadline_s = time.perf_counter() + seconds
    while time.perf_counter() < deadline_s:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


def in_shared(name: str) -> Path:
    """A file of the measuring data, which is not part of the project."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the checkout")
    return path


def child_environment(**extra: str) -> dict[str, str]:
    """For commands run as child processes."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", **extra}
