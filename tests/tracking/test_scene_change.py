"""Cuts and cross-fades between two scenes: no track of the first goes on in the second."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from realtime_kp import Frame, Keypoints, Tracker
from tests.tracking.world import World

CHANGE = 30
TOLD_AFTER = 8  # frames until a cross-fade is recognised


@pytest.fixture(scope="module")
def worlds() -> tuple[World, World]:
    return World(seed=0), World(seed=5)


def shown(worlds: tuple[World, World], index: int, fade: int) -> tuple[Frame, Keypoints]:
    """Frame and detection while one scene passes into the other, each seen by a camera that moves on."""
    corners = ((100 + 0.7 * index, 100 + 0.4 * index), (160 - 0.9 * index, 120 - 0.3 * index))
    share = min(1.0, max(0.0, (index - CHANGE + 1) / max(1, fade)))
    first, second = (world.frame(index, corner) for world, corner in zip(worlds, corners, strict=True))
    image = (1 - share) * first.image_bgr + share * second.image_bgr
    found = worlds[share > 0.5].keypoints(corners[share > 0.5])
    return replace(first, image_bgr=np.rint(image).astype(np.uint8)), found


@pytest.mark.parametrize(("kind", "fade"), [("hybrid", 1), ("hybrid", 6), ("hybrid", 12), ("flow", 1)])
def test_no_track_goes_on_in_another_scene(
    worlds: tuple[World, World], kind: Literal["hybrid", "flow"], fade: int
) -> None:
    tracker, seen = Tracker(kind=kind), []
    for index in range(CHANGE + fade + 30):
        tracks = tracker.update(*shown(worlds, index, fade))
        seen.append(set(tracks.seen_confirmed.ids.tolist()))
    before = seen[CHANGE - 1]
    assert len(before) > 150
    assert not before & set().union(*seen[CHANGE + fade + (TOLD_AFTER if fade > 1 else 0) :])
    assert len(seen[-1]) > 150


def test_after_a_short_look_at_another_scene_the_tracks_are_back(worlds: tuple[World, World]) -> None:
    tracker, seen = Tracker(), []
    for index in range(40):
        world, corner = worlds[20 <= index < 28], (100 + 0.5 * index, 100.0)
        tracks = tracker.update(world.frame(index, corner), world.keypoints(corner))
        seen.append(set(tracks.seen_confirmed.ids.tolist()))
    assert not seen[19] & seen[27]
    assert len(seen[19] & seen[-1]) > 0.85 * len(seen[19])


def test_a_wide_occluder_is_no_other_scene(worlds: tuple[World, World]) -> None:
    world, tracker, seen = worlds[0], Tracker(), []
    for index in range(60):
        box = (10, 10, 300, 230) if 20 <= index < 45 else None
        tracks = tracker.update(world.frame(index, box=box), world.keypoints(box=box))
        seen.append(set(tracks.seen_confirmed.ids.tolist()))
    assert len(seen[19] & seen[-1]) > 0.85 * len(seen[19])
