"""Where captured frames go: through the network to the tracker, or to both at once."""

from __future__ import annotations

from typing import Literal

from realtime_kp.pipeline.channel import Channel, Policy
from realtime_kp.pipeline.shared import Captured, Detected

DetectEvery = int | Literal["auto"]

_WAITING_FRAMES = 2


class Distributor:
    """Decides, once the source is open, how frames reach the tracker.

    In step, every frame passes the network's thread and comes to the tracker with its keypoints, or without
    where the network looks at every Nth only. Else the tracker gets every frame at once, and the network
    the newest whenever it is free; its keypoints follow when they are there. That is for live use, where
    waiting for the network would cost frames, and for trackers that make something of late keypoints. Of
    several pictures none says where the keypoints of the one before have gone: they go in step.

    Args:
        policy: `block`, `drop_oldest`, or `auto`: drop where the source is live.
        queue_size: Frames that may wait for the network.
        detect_every: Every how many frames the network looks at one; `auto`: at each it can get.
        late_is_useful: Whether the tracker takes keypoints of earlier frames.
        first: Index of the first frame.

    Attributes:
        to_network: Frames for the network.
        to_tracker: Frames for the tracker, where it does not wait for the network.
        detected: What the network found.
        in_step: Whether frames reach the tracker by way of the network; valid once `decide` was called.
    """

    def __init__(
        self,
        policy: Policy | Literal["auto"],
        queue_size: int,
        detect_every: DetectEvery,
        *,
        late_is_useful: bool,
        first: int = 0,
    ) -> None:
        self._policy = policy
        self._detect_every = detect_every
        self._late_is_useful = late_is_useful
        self._first = first
        self._count = 0
        self.to_network: Channel[Captured] = Channel(
            queue_size, "drop_oldest" if policy != "block" else "block"
        )
        self.to_tracker: Channel[Captured] = Channel(_WAITING_FRAMES, "drop_oldest")
        self.detected: Channel[Detected] = Channel(1)
        self.in_step = True

    def decide(self, *, live: bool, still: bool = False) -> None:
        """Choose the way of the frames of a source that is live, a set of still pictures, or a recording."""
        if self._policy == "auto":
            self.to_network.policy = "drop_oldest" if live else "block"
        drops = self.to_network.policy == "drop_oldest"
        self.in_step = still or not (drops and self._late_is_useful and self._detect_every != 1)
        if not self.in_step:
            self.detected.policy = "drop_oldest"

    def put(self, captured: Captured) -> None:
        """Send a frame on its way.

        Raises:
            ChannelClosedError: The run ends.
        """
        if not self.in_step:
            self.to_tracker.put(captured)
        if self.in_step or self._due(self._count):
            self.to_network.put(captured)
        self._count += 1

    def looks_at(self, count: int) -> bool:
        """Whether the network looks at the `count`-th frame that reaches it."""
        return not self.in_step or self._due(count)

    def close(self) -> None:
        """No more frames come."""
        self.to_network.close()
        self.to_tracker.close()

    @property
    def dropped(self) -> int:
        """Frames that were dropped before they came to the tracker."""
        return self.to_network.dropped if self.in_step else self.to_tracker.dropped

    @property
    def waiting(self) -> int:
        """Frames that wait now, for the network in step, else for the tracker."""
        return len(self.to_network if self.in_step else self.to_tracker)

    def _due(self, count: int) -> bool:
        return self._detect_every == "auto" or (self._first + count) % self._detect_every == 0
