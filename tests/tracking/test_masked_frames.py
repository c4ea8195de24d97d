"""No track begins, goes on or comes back where a frame is masked out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp import Frame, Keypoints, Tracker, Tracks
from realtime_kp.frame import masked_out
from tests.tracking.world import SIZE_WH, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def right_hidden(from_x: int = 200) -> NDArray[np.uint8]:
    mask = np.ones(SIZE_WH[::-1], np.uint8)
    mask[:, from_x:] = 0
    return mask


def seen(world: World, index: int, mask: NDArray[np.uint8] | None) -> tuple[Frame, Keypoints]:
    """A view that moves to the left by 3 px a frame, so that its points move to the right."""
    corner = (60.0 - 3 * index, 20.0)
    found = world.keypoints(corner)
    if mask is not None:
        found = found.rows(np.flatnonzero(~masked_out(mask, found.xy)))
    return replace(world.frame(index, corner), mask=mask), found


def followed(world: World, kind: Any, masks: list[NDArray[np.uint8] | None]) -> list[Tracks]:
    tracker = Tracker(kind=kind)
    return [tracker.update(*seen(world, i, mask)) for i, mask in enumerate(masks)]


@pytest.mark.parametrize("kind", ["hybrid", "flow", "descriptor"])
def test_tracks_end_at_the_edge(world: World, kind: Any) -> None:
    mask = right_hidden()
    found = followed(world, kind, [mask] * 14)
    plain = followed(world, kind, [None] * 14)
    assert all(not masked_out(mask, tracks.xy).any() for tracks in found)
    assert (plain[-1].xy[:, 0] > 200).sum() > 30
    # Far from the mask all is as without it.
    far = [int((tracks.seen_confirmed.xy[:, 0] < 150).sum()) for tracks in (found[-1], plain[-1])]
    assert far[0] >= 0.9 * far[1] > 20
    entered = found[2].ids[found[2].xy[:, 0] > 190]
    assert len(entered) > 3
    assert not np.isin(entered, found[-1].ids).any()


@pytest.mark.parametrize("kind", ["hybrid", "flow", "descriptor"])
def test_a_mask_that_comes_ends_what_it_covers(world: World, kind: Any) -> None:
    mask = right_hidden()
    found = followed(world, kind, [None] * 4 + [mask] * 2 + [None] * 4)
    assert not masked_out(mask, found[5].xy).any()
    # Those that are about to leave the picture are not in the mask by then.
    x = found[3].xy[:, 0]
    gone = found[3].ids[(x > 215) & (x < SIZE_WH[0] - 15)]
    assert len(gone) > 20
    assert not np.isin(gone, found[-1].ids).any()
    assert (found[-1].xy[:, 0] > 230).sum() > 20


def test_corners_begin_outside_of_the_mask(world: World) -> None:
    mask, tracker = right_hidden(), Tracker(corners="always")
    for i in range(12):
        tracks = tracker.update(replace(world.frame(i), mask=mask), None)
    assert len(tracks) > 50
    assert not masked_out(mask, tracks.xy).any()
    # None was started only to be ended.
    assert tracks.ids.max() < 1.2 * len(tracks)
