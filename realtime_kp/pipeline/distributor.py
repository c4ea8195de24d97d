"""Routing of captured frames: through the network to the tracker, or to both in parallel."""

from __future__ import annotations

from typing import Literal

from realtime_kp.pipeline.channel import Channel, Policy
from realtime_kp.pipeline.shared import Captured, Detected

DetectEvery = int | Literal["auto"]

_TRACKER_QUEUE_SIZE = 2


class Distributor:
    """Routes frames to the network and the tracker, in one of two modes.

    Synchronous: every frame passes through the inference thread and reaches the tracker with its keypoints,
    or without keypoints if the network runs on every Nth frame only. Asynchronous: the tracker gets every
    frame immediately and the network the newest frame whenever it is free; keypoints arrive later, with a
    later frame. Asynchronous mode is for live use, where waiting for the network would drop frames, and
    needs a tracker that accepts late keypoints. `detect_every` 1 and still pictures are always
    synchronous: a still picture does not show where the keypoints of an earlier one have moved.

    Args:
        policy: Queue policy: `block`, `drop_oldest`, or `auto`, which drops for live sources only.
        queue_size: Capacity of the queue before the network.
        detect_every: Run the network on every Nth frame; `auto` runs it on every frame that it receives.
        accepts_late_keypoints: Whether the tracker accepts keypoints of earlier frames.
        first: Index of the first frame.

    Attributes:
        to_network: Queue of frames for the network.
        to_tracker: Queue of frames for the tracker; asynchronous mode only.
        detected: Queue of frames with the network's results.
        synchronous: The mode; valid after `configure`.
    """

    def __init__(
        self,
        policy: Policy | Literal["auto"],
        queue_size: int,
        detect_every: DetectEvery,
        *,
        accepts_late_keypoints: bool,
        first: int = 0,
    ) -> None:
        self._policy = policy
        self._detect_every = detect_every
        self._accepts_late_keypoints = accepts_late_keypoints
        self._first = first
        self._count = 0
        self.to_network: Channel[Captured] = Channel(
            queue_size, "drop_oldest" if policy != "block" else "block"
        )
        self.to_tracker: Channel[Captured] = Channel(_TRACKER_QUEUE_SIZE, "drop_oldest")
        self.detected: Channel[Detected] = Channel(1)
        self.synchronous = True

    def configure(self, *, live: bool, still: bool = False) -> None:
        """Choose queue policy and mode for the opened source.

        Args:
            live: Whether the source is live.
            still: Whether the source is a set of still pictures.
        """
        if self._policy == "auto":
            self.to_network.policy = "drop_oldest" if live else "block"
        self.synchronous = still or not (
            self.drops and self._accepts_late_keypoints and self._detect_every != 1
        )
        if not self.synchronous:
            self.detected.policy = "drop_oldest"

    def put(self, captured: Captured) -> None:
        """Put a frame into the queues that it belongs to.

        Raises:
            ChannelClosedError: The run has ended.
        """
        if not self.synchronous:
            self.to_tracker.put(captured)
        if self.synchronous or self._is_detection_frame(self._count):
            self.to_network.put(captured)
        self._count += 1

    def runs_network_on(self, count: int) -> bool:
        """Return whether the network processes the `count`-th frame (from 0) that it receives."""
        return not self.synchronous or self._is_detection_frame(count)

    def close(self) -> None:
        """Close the frame queues: no more frames follow."""
        self.to_network.close()
        self.to_tracker.close()

    @property
    def drops(self) -> bool:
        """Whether frames that are too many are dropped; valid after `configure`."""
        return self.to_network.policy == "drop_oldest"

    @property
    def dropped(self) -> int:
        """Number of frames dropped before the tracker."""
        return self.to_network.dropped if self.synchronous else self.to_tracker.dropped

    @property
    def waiting(self) -> int:
        """Number of frames in the queue before the network (synchronous) or the tracker (asynchronous)."""
        return len(self.to_network if self.synchronous else self.to_tracker)

    def _is_detection_frame(self, count: int) -> bool:
        return self._detect_every == "auto" or (self._first + count) % self._detect_every == 0
