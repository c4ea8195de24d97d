"""The entry of the room: frames and keypoints in, tracks out, with any of the three methods."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import TrackingConfig, config_or_keywords
from realtime_kp.config.checks import require
from realtime_kp.errors import ArgumentError
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Tracks
from realtime_kp.lens import Lens
from realtime_kp.tracking.descriptor_method import DescriptorMethod
from realtime_kp.tracking.hybrid_method import HybridMethod
from realtime_kp.tracking.query_points import QueryPoint, QueryPoints
from realtime_kp.tracking.track_registry import TrackCounts, TrackRegistry


class Method(Protocol):
    """A tracking method. Frames come in order and have one size until `reset`."""

    def update(self, frame: Frame, keypoints: Keypoints | None, elapsed: int) -> Tracks:
        """Advance all tracks to a frame.

        Args:
            frame: The frame.
            keypoints: A detection of this frame, or of the earlier one that `frame_index` names; None where
                there is none.
            elapsed: Number of frames since the last update, 1 where none was dropped.
        """
        ...

    def reset(self, *, keep_queries: bool = False) -> None:
        """End all tracks, or all but the points that the user asked for: those are lost, and looked for."""
        ...

    def remove(self, track_id: int) -> None:
        """End a point that the user asked for."""
        ...

    @property
    def confirmed_lengths(self) -> NDArray[np.int32]:
        """Lengths of the current tracks that are or were confirmed."""
        ...


class Tracker:
    """Tracks keypoints through successive frames.

    Three methods share the interface (`tracking.kind`): `hybrid` aligns every track in every frame to its key
    patch and re-identifies lost tracks by descriptor and position; `flow` aligns without descriptors, and a
    track that is lost ends; `descriptor` associates tracks with the keypoints of each detection, without
    optical flow.

    Life cycle: tentative → confirmed (seen in `confirm_after` frames in a row) → lost (not seen) →
    confirmed again, or ended (not seen for more than `max_age` frames). A tentative track that is missed
    ends at once. Ids start at 1 and are never used again. A frame with a smaller index than the one before it
    begins another source: all tracks end, and new ones get new ids. With `hybrid` and `flow` every frame
    counts in which a track was aligned; with `descriptor`, frames without keypoints neither confirm a track
    nor lose it.

    Points of one's own (`add`) are tracks that never end: lost, they are looked for by the keypoints around
    them, also in another scene or source.

    Keyword arguments are the fields of `TrackingConfig`, or give the whole `config`.

    Args:
        config: All settings at once.
        trail_length: Number of past positions kept for each track, for drawing.

    Raises:
        ConfigError: An argument is unknown or impossible.
    """

    def __init__(
        self, config: TrackingConfig | None = None, *, trail_length: int = 20, **settings: Any
    ) -> None:
        self.config = config_or_keywords(TrackingConfig, config, settings, "Tracker")
        whole = isinstance(trail_length, int) and not isinstance(trail_length, bool)
        require(whole and trail_length >= 1, "trail_length must be a whole number from 1", trail_length)
        self._registry = TrackRegistry()
        self._queries = QueryPoints()
        self._named = 0
        self._method = _make_method(self.config, self._registry, self._queries, trail_length)
        self._descriptor_length: int | None = None
        self._scene: tuple[int, tuple[int, int], Lens | None] | None = None
        self._last_index: int | None = None
        self._damaged: deque[int] = deque(maxlen=self.config.history)

    def update(self, frame: Frame, keypoints: Keypoints | None) -> Tracks:
        """Advance all tracks to a frame.

        Args:
            frame: The frame; a change of size, lens or session, and an index that goes back, end all tracks.
            keypoints: A detection of this frame, or of the earlier one that `keypoints.frame_index` names. A
                late detection is associated with the tracks as they were in its frame, and its results are
                carried to this one; where its frame has left the history it is dropped and counted. Where its
                descriptors have another length than those before, as those of another network, the tracks go
                on and get new descriptors. None
                where there is none. Of a damaged frame it is not used: what is seen there may not exist.

        Returns:
            All current tracks, by ascending id.

        Raises:
            ArgumentError: The keypoints are of a later frame, or something else was given.
        """
        if not isinstance(frame, Frame) or not isinstance(keypoints, Keypoints | None):
            got = f"{type(frame).__name__} and {type(keypoints).__name__}"
            raise ArgumentError(f"a tracker takes a Frame, and Keypoints or None, got {got}")
        scene = (frame.session, frame.size_wh, frame.lens)
        went_back = self._last_index is not None and frame.index < self._last_index
        if scene != self._scene or went_back:
            self._restart(keep_queries=True)
            self._scene = scene
        # Motion goes on in frames that were dropped before they reached the tracker.
        elapsed = max(1, frame.index - self._last_index) if self._last_index is not None else 1
        self._last_index = frame.index
        if frame.damaged:
            self._damaged.append(frame.index)
        if keypoints is not None:
            keypoints = self._checked(frame, keypoints)
            of_frame = frame.index if keypoints.frame_index is None else keypoints.frame_index
            keypoints = None if of_frame in self._damaged else keypoints
        tracks = self._method.update(frame, keypoints, elapsed)
        names = self._queries.names
        tracks = replace(tracks, labels=dict(names)) if names else tracks
        return tracks.where(np.isin(tracks.ids, list(names))) if self.config.only_points else tracks

    def add(
        self,
        xy: tuple[float, float],
        name: str = "",
        *,
        frame: int | None = None,
        time_s: float | None = None,
    ) -> int:
        """Follow a point of your own: a query point, as TAP-Vid calls it.

        It starts with the next update, is never given up, and is recognised when it returns after any time.
        What cannot be followed, as on a flat surface, is refused with a warning; `take_refusals` tells why.

        Args:
            xy: Its position in the frame, pixels.
            name: Its name; without one it gets a number.
            frame: Index of the frame in which it is there: one of the last ones, or one to come. None is the
                frame of the last update, before the first one the first.
            time_s: Instead of `frame`: the first frame from this time on.

        Returns:
            The id of its track.

        Raises:
            ArgumentError: The position is none, or the method cannot follow any point.
        """
        if self.config.kind == "descriptor":
            raise ArgumentError("points of one's own need the hybrid or the flow tracker, not descriptor")
        self._named += 1
        if frame is None and time_s is None:
            frame = self._last_index
        x, y = (float(value) for value in xy)
        point = QueryPoint(self._registry.new_ids(1).item(), name or f"p{self._named}", (x, y), frame, time_s)
        self._queries.pending.append(point)
        return point.id

    def remove(self, track_id: int) -> None:
        """Give up a point of your own.

        Args:
            track_id: What `add` returned.

        Raises:
            ArgumentError: There is no such point.
        """
        if not self._queries.forget(track_id):
            raise ArgumentError(f"there is no point of one's own with the id {track_id}")
        self._method.remove(track_id)

    @property
    def pending(self) -> tuple[QueryPoint, ...]:
        """Points of your own whose frame has not come."""
        return tuple(self._queries.pending)

    def take_refusals(self) -> tuple[str, ...]:
        """Why points could not start, since the last call."""
        refusals = tuple(self._queries.refusals)
        self._queries.refusals.clear()
        return refusals

    def reset(self) -> None:
        """End all tracks, points of one's own as well; ids go on."""
        self._restart(keep_queries=False)
        for point in (*self._queries.names, *(query.id for query in self._queries.pending)):
            self._queries.forget(point)

    def _restart(self, *, keep_queries: bool) -> None:
        self._method.reset(keep_queries=keep_queries)
        self._descriptor_length = self._last_index = None
        self._damaged.clear()

    @property
    def counts(self) -> TrackCounts:
        """Statistics of the tracks so far."""
        return self._registry.counts(self._method.confirmed_lengths)

    @property
    def expired(self) -> int:
        """Number of late detections that were dropped because their frame had left the history."""
        return self._registry.expired

    @property
    def takes_late_keypoints(self) -> bool:
        """Whether the method uses frames without keypoints, and detections of earlier frames."""
        return self.config.kind != "descriptor"

    def _checked(self, frame: Frame, keypoints: Keypoints) -> Keypoints:
        if keypoints.frame_index is not None and keypoints.frame_index > frame.index:
            raise ArgumentError(
                f"frame {frame.index} got keypoints of the later frame {keypoints.frame_index}"
            )
        if len(keypoints) or self._descriptor_length is None:
            self._descriptor_length = keypoints.descriptors.shape[1]
        elif keypoints.descriptors.shape[1] != self._descriptor_length:
            keypoints = replace(keypoints, descriptors=np.zeros((0, self._descriptor_length), np.float32))
        return keypoints


def _make_method(
    config: TrackingConfig, registry: TrackRegistry, queries: QueryPoints, trail_length: int
) -> Method:
    if config.kind == "descriptor":
        return DescriptorMethod(config, registry, trail_length)
    return HybridMethod(config, registry, queries, trail_length, use_descriptors=config.kind == "hybrid")
