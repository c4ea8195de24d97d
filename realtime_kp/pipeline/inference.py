"""The thread that runs the network."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from realtime_kp.errors import SourceError
from realtime_kp.features import Extraction, Extractor
from realtime_kp.features.extractor import Results, submit_masked
from realtime_kp.frame import Frame
from realtime_kp.machine import lower_thread_priority
from realtime_kp.pipeline.distributor import Distributor
from realtime_kp.pipeline.shared import Captured, Detected, Shared
from realtime_kp.reference import describe
from realtime_kp.timing import StageStarts, StageTimes

log = logging.getLogger(__name__)

# The keypoints of a frame that another process has found already; None where the network has to run.
FoundElsewhere = Callable[[Frame], Extraction | None]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Consecutive frames and the pending results of those that the network processes.

    Attributes:
        frames: Each frame, and whether the network processes it.
        results: Waits for the keypoints; None if the network processes none of the frames.
        started_s: Time of submission, seconds of `time.perf_counter`.
    """

    frames: list[tuple[Captured, bool]]
    results: Results | None
    started_s: float


class InferenceWorker:
    """Owns the network: loads it, warms it up for the source's frame size, and runs it on the frames.

    Args:
        superpoint: The network.
        frames: Queues of frames and of results.
        shared: State shared by the threads of the run.
        batch: Maximum number of frames per network batch.
        found_elsewhere: Asked for every frame before the network; None runs the network on all of them.
    """

    def __init__(
        self,
        superpoint: Extractor,
        frames: Distributor,
        shared: Shared,
        batch: int = 1,
        found_elsewhere: FoundElsewhere | None = None,
    ) -> None:
        self._superpoint = superpoint
        self._frames = frames
        self._shared = shared
        self._batch = batch
        self._found_elsewhere = found_elsewhere
        self._given_reference = shared.controls.reference
        self._described: tuple[object, ...] | None = None

    def run(self) -> None:
        """Detect keypoints until the frame queue is closed and empty."""
        # Loading takes seconds and cannot be interrupted: report a missing source before it.
        self._shared.opened.wait()
        if self._shared.stop.is_set():
            return
        with self._superpoint as superpoint:
            if not self._frames.synchronous or _overlaps_frames_on_cpu(superpoint):
                # In these cases no frame waits for its own inference, but every frame waits for the other
                # threads: a delay in tracking delays the whole pipeline.
                lower_thread_priority()
            info = self._shared.info
            if info is not None and info.size_wh is not None and not self._shared.stop.is_set():
                superpoint.warm_up(info.size_wh, 1 / info.fps if info.fps else None, self._batch)
            self._shared.ready.set()
            self._detect(superpoint)
        self._frames.detected.close()

    def _detect(self, superpoint: Extractor) -> None:
        in_flight: deque[_Batch] = deque()
        for frames in self._batches():
            in_flight.append(self._submit(superpoint, frames))
            while len(in_flight) >= superpoint.in_flight:
                self._collect(in_flight.popleft())
        for batch in in_flight:
            self._collect(batch)

    def _batches(self) -> Iterator[list[tuple[Captured, bool]]]:
        """Yield batches of frames of equal size; the flag of a frame tells whether the network runs on it."""
        frames: list[tuple[Captured, bool]] = []
        for count, captured in enumerate(self._frames.to_network):
            if frames and captured.frame.size_wh != frames[0][0].frame.size_wh:
                yield frames
                frames = []
            frames.append((captured, self._frames.runs_network_on(count)))
            if len(frames) == self._batch:
                yield frames
                frames = []
        if frames:
            yield frames

    def _submit(self, superpoint: Extractor, frames: list[tuple[Captured, bool]]) -> _Batch:
        started_s = time.perf_counter()
        wanted = [captured.frame for captured, is_detected in frames if is_detected]
        if not wanted:
            return _Batch(frames, None, started_s)
        self._describe_reference(superpoint, wanted[0].size_wh)
        if self._found_elsewhere is None:
            return _Batch(frames, self._run_network(superpoint, wanted), started_s)
        known = [self._found_elsewhere(frame) for frame in wanted]
        missing = [frame for frame, found in zip(wanted, known, strict=True) if found is None]
        return _Batch(frames, _filled(known, self._run_network(superpoint, missing)), started_s)

    def _run_network(self, superpoint: Extractor, frames: list[Frame]) -> Results:
        if not frames:
            return list
        images = [frame.analysed_bgr for frame in frames]
        threshold = self._shared.controls.keypoint_threshold
        return submit_masked(superpoint, images, threshold, [frame.mask for frame in frames])

    def _describe_reference(self, superpoint: Extractor, frame_wh: tuple[int, int]) -> None:
        """Find the keypoints of a new reference picture, or those of another network or frame size."""
        picture = self._shared.controls.reference
        if picture is None:
            self._described = self._shared.reference = None
            return
        info = superpoint.info
        made_for = (picture, info.model, info.descriptor_dim, superpoint.network_size(frame_wh), frame_wh)
        if self._described is not None and all(
            a is b or a == b for a, b in zip(made_for, self._described, strict=True)
        ):
            return
        self._described = made_for
        described = describe(picture, frame_wh, lambda image: superpoint.submit([image])()[0].keypoints)
        if described.problem and picture is self._given_reference:
            raise SourceError(described.problem)
        if described.problem:
            self._shared.reference, self._shared.reference_refusal = None, described.problem
            log.warning("%s", described.problem)
        else:
            self._shared.reference = described

    def _collect(self, batch: _Batch) -> None:
        found = iter([] if batch.results is None else batch.results())
        for captured, is_detected in batch.frames:
            result = next(found) if is_detected else None
            most = self._shared.controls.max_keypoints
            self._frames.detected.put(_detected(captured, batch.started_s, result, most))


def _detected(
    captured: Captured, started_s: float, found: Extraction | None, max_keypoints: int | None
) -> Detected:
    frame = captured.frame
    times = StageTimes(grab=captured.grab_ms, queue=(started_s - captured.put_at_s) * 1e3)
    if found is None:
        return Detected(frame, None, times, StageStarts(grab=captured.grab_at_s), time.perf_counter())
    times = replace(times, resize=found.resize_ms, network=found.network_ms, keypoints=found.keypoints_ms)
    # They come in descending order of score.
    keypoints = replace(found.keypoints.top(max_keypoints or len(found.keypoints)), frame_index=frame.index)
    starts = StageStarts(grab=captured.grab_at_s, detect=started_s)
    return Detected(frame, keypoints, times, starts, time.perf_counter())


def _filled(known: list[Extraction | None], missing: Results) -> Results:
    """What is known, and results of the network in the gaps."""

    def results() -> list[Extraction]:
        computed = iter(missing())
        return [next(computed) if found is None else found for found in known]

    return results


def _overlaps_frames_on_cpu(superpoint: Extractor) -> bool:
    """Return whether the network runs on a CPU with more than one batch in flight."""
    return superpoint.info.device == "cpu" and superpoint.in_flight > 1
