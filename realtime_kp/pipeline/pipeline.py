"""Source to tracks: the pipeline owns the threads and yields tracked frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import cv2

from realtime_kp.features import Extractor, ModelInfo
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline.channel import Channel, ChannelClosedError, Policy
from realtime_kp.pipeline.controls import Controls
from realtime_kp.pipeline.distributor import DetectEvery, Distributor
from realtime_kp.pipeline.inference import InferenceWorker
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.shared import Shared, start_thread
from realtime_kp.pipeline.workers import CaptureWorker, TrackingWorker
from realtime_kp.sources import FrameSource, ReturningSource, SourceInfo
from realtime_kp.tracking import Tracker

log = logging.getLogger(__name__)

_JOIN_S = 10.0
_WAKE_S = 0.1


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What became of the frames; `read = processed + dropped` when the run is over.

    Attributes:
        read: Delivered by the source.
        processed: Tracked and handed to the render loop.
        dropped: Read, but never handed over.
        detected: Seen by the network, and told of in time for a processed one.
    """

    read: int
    processed: int
    dropped: int
    detected: int


class Pipeline:
    """Capture, inference and tracking threads behind an iterator of `TrackedFrame`.

    Entering starts the threads, exiting stops and joins them. The first exception of any thread ends the
    run and is raised, with its own traceback, where the frames are taken. A pipeline runs once.

    Args:
        source: Where frames come from; opened, read and released by the capture thread.
        superpoint: The network; entered and exited by the inference thread.
        tracker: The tracker.
        policy: `block` loses no frame; `drop_oldest` lets the newest win; `auto` drops where the source is
            live and blocks where it is a recording.
        queue_size: Frames that may wait for the network.
        batch: Frames that the network sees at once; where frames may be dropped it takes them one by one.
        detect_every: Run the network on every Nth frame. `auto` is every frame where none may be dropped, and
            else the newest whenever the network is free: with a tracker that takes late keypoints every frame
            is tracked all the same.
        pacer: When frames of recordings are due; None takes them as fast as they come.
        loop: Start the source over at its end.
        max_frames: Stop before the frame of this index.
        skip: Frames of the source that an earlier run was done with: passed over.
        keep_state_s: How often frames carry the state of the tracker, to go on from in another run.
    """

    def __init__(
        self,
        source: FrameSource,
        superpoint: Extractor,
        tracker: Tracker,
        *,
        policy: Policy | Literal["auto"] = "block",
        queue_size: int = 2,
        batch: int = 1,
        detect_every: DetectEvery = "auto",
        pacer: Pacer | None = None,
        loop: bool = False,
        max_frames: int | None = None,
        skip: int = 0,
        keep_state_s: float | None = None,
    ) -> None:
        self._superpoint = superpoint
        self._tracker = tracker
        self._shared = Shared()
        self._frames = Distributor(
            policy, queue_size, detect_every, late_is_useful=tracker.takes_late_keypoints, first=skip
        )
        self._results: Channel[TrackedFrame] = Channel(1)
        self._returning = source if isinstance(source, ReturningSource) else None
        if self._returning is not None:
            self._shared.at_end(self._returning.interrupt)
        self._shared.watch(
            self._frames.to_network, self._frames.to_tracker, self._frames.detected, self._results
        )
        self._capture = CaptureWorker(source, self._frames, self._shared, pacer, loop, max_frames, skip)
        self._inference = InferenceWorker(
            superpoint, self._frames, self._shared, batch if policy == "block" else 1
        )
        self._tracking = TrackingWorker(tracker, self._frames, self._results, self._shared, keep_state_s)
        self._threads: list[threading.Thread] = []
        self._opencv_threads = 0
        self._processed = 0
        self._detections = 0
        self._finished = False
        self._frame_wh: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        if self._threads:
            raise RuntimeError("a pipeline runs once; make a new one")
        # OpenCV splits the tracker's small pieces over threads that fight the network's for the cores.
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        for name, body in (
            ("inference", self._inference.run),
            ("capture", self._capture.run),
            ("tracking", self._tracking.run),
        ):
            self._threads.append(start_thread(name, body, self._shared))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        deadline_s = time.perf_counter() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.perf_counter()))
            if thread.is_alive():
                log.warning("the %s thread did not end within %.0f s", thread.name, _JOIN_S)
        cv2.setNumThreads(self._opencv_threads)

    def __iter__(self) -> Iterator[TrackedFrame]:
        while not self._finished:
            tracked = self.poll(_WAKE_S)
            if tracked is not None:
                yield tracked

    def poll(self, timeout_s: float) -> TrackedFrame | None:
        """Take the next tracked frame.

        Args:
            timeout_s: How long to wait for it.

        Returns:
            The frame; None when the time is over, or when there are no more (`finished` tells).

        Raises:
            BaseException: The first exception of any thread.
        """
        try:
            tracked = self._results.get(timeout_s)
        except ChannelClosedError:
            self._finished = True
            tracked = None
        if self._shared.failure is not None:
            self._finished = True
            raise self._shared.failure
        if tracked is not None:
            self._processed += 1
            self._detections += tracked.detected
            self._frame_wh = tracked.frame.size_wh
        return tracked

    def stop(self) -> None:
        """End the run: threads are woken and run out, frames on their way are dropped."""
        self._shared.end()

    def apply(self, controls: Controls) -> None:
        """Let the user's wishes take effect with the next frame."""
        self._shared.controls = controls
        if controls.paused:
            self._shared.gate.close()
        else:
            self._shared.gate.open()

    def step(self) -> None:
        """Let one frame through while paused."""
        self._shared.gate.step()

    @property
    def finished(self) -> bool:
        """Whether the last frame was taken."""
        return self._finished

    @property
    def limited(self) -> bool:
        """Whether reading stopped at `max_frames`."""
        return self._shared.limited

    @property
    def source_info(self) -> SourceInfo | None:
        """What is known of the source, once it is open."""
        return self._shared.info

    @property
    def source_lost_s(self) -> float | None:
        """For how many seconds a live source has been lost; None while it is there."""
        lost_at_s = None if self._returning is None else self._returning.lost_at_s
        return None if lost_at_s is None else time.perf_counter() - lost_at_s

    @property
    def model_info(self) -> ModelInfo:
        """What is running; valid from the first frame on."""
        return self._superpoint.info

    @property
    def inference_size(self) -> tuple[int, int] | None:
        """Width and height that the network sees for the newest frame's size; None before the first."""
        return None if self._frame_wh is None else self._superpoint.network_size(self._frame_wh)

    @property
    def damage(self) -> str | None:
        """What the source could not read, known after the last frame."""
        return self._shared.damage

    @property
    def tracker(self) -> Tracker:
        """The tracker; ask it only when the run is over."""
        return self._tracker

    @property
    def queue_depth(self) -> int:
        """Frames that wait now: for the network, or for the tracker where that does not wait for it."""
        return self._frames.waiting

    @property
    def counts(self) -> FrameCounts:
        """What became of the frames; exact when the run is over.

        While it runs, frames on their way are neither processed nor dropped yet.
        """
        read, processed = self._shared.read, self._processed
        if self._threads and not any(thread.is_alive() for thread in self._threads):
            dropped = read - processed
        else:
            dropped = self._frames.dropped + self._shared.discarded_paused
        return FrameCounts(read, processed, dropped, self._detections)
