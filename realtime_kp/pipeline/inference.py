"""The thread that runs the network."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from realtime_kp.features import Extraction, Extractor
from realtime_kp.features.extractor import Results
from realtime_kp.machine import yield_to_others
from realtime_kp.pipeline.distributor import Distributor
from realtime_kp.pipeline.shared import Captured, Detected, Shared
from realtime_kp.timing import StageStarts, StageTimes


@dataclass(frozen=True, slots=True)
class _Group:
    """Frames that the network sees together, in order, with those between them that it does not look at."""

    frames: list[tuple[Captured, bool]]
    results: Results | None
    started_s: float


class InferenceWorker:
    """Owns the network: loads it, warms it up for the source's size, runs it on the frames that it gets.

    Args:
        superpoint: The network.
        frames: Gives frames and takes what was found in them.
        shared: The run.
        batch: How many frames the network sees at once.
    """

    def __init__(self, superpoint: Extractor, frames: Distributor, shared: Shared, batch: int = 1) -> None:
        self._superpoint = superpoint
        self._frames = frames
        self._shared = shared
        self._batch = batch

    def run(self) -> None:
        """Find keypoints until no more frames come."""
        # Loading takes seconds and cannot be interrupted: a source that is not there shall be told before.
        self._shared.opened.wait()
        if self._shared.stop.is_set():
            return
        with self._superpoint as superpoint:
            if not self._frames.in_step or _has_frames_waiting(superpoint):
                # Not each frame waits for the network then, but somebody for every frame: what the tracker
                # holds up holds up all.
                yield_to_others()
            info = self._shared.info
            if info is not None and info.size_wh is not None and not self._shared.stop.is_set():
                superpoint.warm_up(info.size_wh, 1 / info.fps if info.fps else None, self._batch)
            self._shared.ready.set()
            self._find(superpoint)
        self._frames.detected.close()

    def _find(self, superpoint: Extractor) -> None:
        begun: deque[_Group] = deque()
        for frames in self._together():
            begun.append(self._begin(superpoint, frames))
            while len(begun) >= superpoint.in_flight:
                self._finish(begun.popleft())
        for group in begun:
            self._finish(group)

    def _together(self) -> Iterator[list[tuple[Captured, bool]]]:
        """Frames of one size, up to the batch, each with whether the network looks at it."""
        frames: list[tuple[Captured, bool]] = []
        for count, captured in enumerate(self._frames.to_network):
            if frames and captured.frame.size_wh != frames[0][0].frame.size_wh:
                yield frames
                frames = []
            frames.append((captured, self._frames.looks_at(count)))
            if len(frames) == self._batch:
                yield frames
                frames = []
        if frames:
            yield frames

    def _begin(self, superpoint: Extractor, frames: list[tuple[Captured, bool]]) -> _Group:
        started_s = time.perf_counter()
        images = [captured.frame.image_bgr for captured, look in frames if look]
        threshold = self._shared.controls.keypoint_threshold
        return _Group(frames, superpoint.submit(images, threshold) if images else None, started_s)

    def _finish(self, group: _Group) -> None:
        found = iter([] if group.results is None else group.results())
        for captured, look in group.frames:
            self._frames.detected.put(_detected(captured, group.started_s, next(found) if look else None))


def _detected(captured: Captured, started_s: float, found: Extraction | None) -> Detected:
    frame = captured.frame
    times = StageTimes(grab=captured.grab_ms, queue=(started_s - captured.put_at_s) * 1e3)
    if found is None:
        return Detected(frame, None, times, StageStarts(grab=captured.grab_at_s), time.perf_counter())
    times = replace(times, resize=found.resize_ms, network=found.network_ms, keypoints=found.keypoints_ms)
    keypoints = replace(found.keypoints, frame_index=frame.index)
    starts = StageStarts(grab=captured.grab_at_s, detect=started_s)
    return Detected(frame, keypoints, times, starts, time.perf_counter())


def _has_frames_waiting(superpoint: Extractor) -> bool:
    """Whether the network, on a CPU, always has a next frame to go on with."""
    return superpoint.info.device == "cpu" and superpoint.in_flight > 1
