"""What the user does, in the window or in a browser."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from realtime_kp.apps.live.keys import THRESHOLD_RANGE, LiveState, add_region, click
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.lens import StraightView
from realtime_kp.sinks import Click, Drag, Window


@dataclass(frozen=True, slots=True)
class UserInput:
    """Something that the user does; what is None is not done.

    Attributes:
        key: A key that was pressed.
        clicked: Where the mouse was clicked.
        dragged: What it was dragged across.
        threshold: A new keypoint threshold.
        max_keypoints: A new limit of keypoints.
        drawn: Whether positions are those in the drawn picture; else in pixels of the source.
        frame: Index of the frame that was clicked on; None for the newest.
    """

    key: str | None = None
    clicked: Click | None = None
    dragged: Drag | None = None
    threshold: float | None = None
    max_keypoints: int | None = None
    drawn: bool = True
    frame: int | None = None

    @property
    def nothing(self) -> bool:
        """Whether nothing was done."""
        done = (self.key, self.clicked, self.dragged, self.threshold, self.max_keypoints)
        return all(one is None for one in done)


def window_input(window: Window, wait_ms: int) -> UserInput:
    """What the user did in the window since the last call; processes the window's events."""
    key = window.key(wait_ms=wait_ms)
    return UserInput(key=key, clicked=window.click(), dragged=window.drag())


def point_at(
    state: LiveState,
    given: UserInput,
    tracked: TrackedFrame,
    *,
    mirror: bool,
    view: StraightView | None,
) -> LiveState:
    """The state after a region was drawn, and after a click.

    Args:
        state: The state before.
        given: What the user did.
        tracked: The frame that is shown.
        mirror: Whether the drawn picture is flipped left to right.
        view: How it was straightened; None where it was not.
    """
    if not given.drawn:
        mirror, view = False, None
    if given.dragged is not None:
        state = add_region(state, given.dragged, tracked.frame.size_wh, mirror=mirror, view=view)
    if given.clicked is not None:
        newest = tracked.frame.index
        frame = newest if given.frame is None else min(given.frame, newest)
        state = click(state, given.clicked, tracked, mirror=mirror, view=view, frame=frame)
    return state


def with_settings(state: LiveState, given: UserInput, most_keypoints: int) -> LiveState:
    """The state after sliders were moved.

    Args:
        state: The state before.
        given: What the user did.
        most_keypoints: The network's own limit.
    """
    if given.threshold is not None:
        threshold = float(np.clip(given.threshold, *THRESHOLD_RANGE))
        state = replace(state, threshold=threshold).noting(f"threshold {threshold:.4f}")
    if given.max_keypoints is not None:
        most = min(given.max_keypoints, most_keypoints)
        state = replace(state, max_keypoints=most).noting(f"at most {most} keypoints")
    return state
