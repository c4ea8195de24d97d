"""The one entry to tracking: frames and keypoints in, tracks out, whatever the method."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig, config_or_keywords
from realtime_kp.errors import ConfigError
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.tracking.descriptor import DescriptorMethod
from realtime_kp.tracking.hybrid import HybridMethod
from realtime_kp.tracking.ledger import Ledger, TrackCounts


class Method(Protocol):
    """A way to track. Frames come in order and have one size until `reset`."""

    def update(self, frame: Frame, keypoints: Keypoints | None, passed: int) -> Tracks:
        """Carry the tracks to a frame.

        Args:
            frame: The frame.
            keypoints: Of this frame, or of an earlier one that they name; None where there are none.
            passed: Frames since the last update, 1 where none was dropped.
        """
        ...

    def reset(self) -> None:
        """End all tracks."""
        ...

    @property
    def known_lengths(self) -> NDArray[np.int32]:
        """Lengths of the living tracks that were ever confirmed."""
        ...


class Tracker:
    """Ties what is seen in successive frames into tracks.

    Three methods share the interface (`tracking.kind`): `hybrid` aligns every track in every frame to how
    it looked when it began, and recognises lost ones by descriptor and place; `flow` does without
    descriptors, and a track that is lost is gone; `descriptor` finds tracks again in each detection by
    descriptor alone.

    Life cycle: tentative → confirmed (seen in `confirm_after` frames in a row) → lost (not seen) →
    confirmed again, or ended (not seen for more than `max_age` frames). A tentative track that is missed
    ends at once. Ids start at 1 and are never used again. With `hybrid` and `flow` every frame counts in
    which a track was aligned; with `descriptor` frames without keypoints neither confirm nor lose a track.

    Keyword arguments are the fields of `TrackingConfig`, or give the whole `config`.

    Args:
        config: All settings at once.
        trail_length: How many past places each track remembers for drawing.

    Raises:
        ConfigError: An argument is unknown or impossible.
    """

    def __init__(
        self, config: TrackingConfig | None = None, *, trail_length: int = 20, **settings: Any
    ) -> None:
        self.config = config_or_keywords(TrackingConfig, config, settings, "Tracker")
        if trail_length < 1:
            raise ConfigError(f"trail_length must be at least 1, got {trail_length}")
        self._ledger = Ledger()
        self._method = _make_method(self.config, self._ledger, trail_length)
        self._dim: int | None = None
        self._scene: tuple[int, tuple[int, int]] | None = None
        self._last_index: int | None = None
        self._expired = 0

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Carry the tracks to a frame.

        Args:
            frame: The frame; another size or session than before ends all tracks.
            keypoints: What was found in it, or in an earlier frame that `keypoints.frame_index` names: such
                late ones correct the tracks as they stood at that frame and are carried to this one, or are
                dropped and counted where that frame is forgotten. None where there are none.

        Returns:
            All tracks alive after it, by ascending id.

        Raises:
            ValueError: The descriptors have another length than those before, or the keypoints are of a
                later frame.
        """
        scene = (frame.session, frame.size_wh)
        if scene != self._scene:
            self.reset()
            self._scene = scene
        # Frames that were dropped before the tracker passed all the same: things moved on meanwhile.
        passed = max(1, frame.index - self._last_index) if self._last_index is not None else 1
        self._last_index = frame.index
        if keypoints is not None:
            keypoints = self._checked(frame, keypoints)
        return self._method.update(frame, keypoints, passed)

    def reset(self) -> None:
        """End all tracks; ids go on."""
        self._method.reset()
        self._dim = None

    @property
    def counts(self) -> TrackCounts:
        """What became of the tracks so far."""
        return self._ledger.counts(self._method.known_lengths)

    @property
    def expired(self) -> int:
        """Detections that were dropped because their frame was forgotten when they came."""
        return self._ledger.expired

    @property
    def takes_late_keypoints(self) -> bool:
        """Whether frames without keypoints gain something, and keypoints of earlier frames are of use."""
        return self.config.kind != "descriptor"

    def _checked(self, frame: Frame, keypoints: Keypoints) -> Keypoints:
        if keypoints.frame_index is not None and keypoints.frame_index > frame.index:
            raise ValueError(f"frame {frame.index} got keypoints of the later frame {keypoints.frame_index}")
        dim = keypoints.descriptors.shape[1]
        if self._dim is None:
            self._dim = dim
        if dim != self._dim:
            if len(keypoints):
                raise ValueError(f"descriptors of {self._dim} numbers were tracked so far, got some of {dim}")
            keypoints = Keypoints.empty(self._dim)
        return keypoints


def _make_method(config: TrackingConfig, ledger: Ledger, trail_length: int) -> Method:
    if config.kind == "descriptor":
        return DescriptorMethod(config, ledger, trail_length)
    return HybridMethod(config, ledger, trail_length, recognise=config.kind == "hybrid")
