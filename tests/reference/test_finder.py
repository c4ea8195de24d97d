"""A reference picture on a plane that moves before another picture: where its corners are is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from realtime_kp.errors import ArgumentError
from realtime_kp.evaluation.reference_clips import ReferenceClip
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import ReferencePose
from realtime_kp.reference import ReferenceFinder, ReferencePicture, describe
from realtime_kp.sources import procedural_picture
from realtime_kp.tracking import Tracker

SIZE_WH = (480, 360)
POSTER, BACKGROUND = procedural_picture((420, 300), 11), procedural_picture((640, 480), 12)


@pytest.fixture(scope="module")
def superpoint() -> Iterator[SuperPoint]:
    with SuperPoint(model="small", resize="480") as loaded:
        yield loaded


class Follower:
    """The parts as the pipeline puts them together; a detection comes every few frames, some frames late."""

    def __init__(self, superpoint: SuperPoint, every: int = 1, late: int = 0) -> None:
        self._superpoint, self._every, self._late = superpoint, every, late
        self._tracker, self._frames = Tracker(), list[Frame]()
        self.finder = ReferenceFinder()
        self.finder.use(describe(ReferencePicture(POSTER, "poster"), SIZE_WH, superpoint))

    def show(self, image: np.ndarray) -> ReferencePose:
        index = len(self._frames)
        frame = Frame(index, index / 30, 0.0, image)
        self._frames.append(frame)
        keypoints = None
        if index >= self._late and (index - self._late) % self._every == 0:
            of = self._frames[index - self._late]
            keypoints = replace(self._superpoint(of.image_bgr), frame_index=of.index)
        pose = self.finder.update(frame, self._tracker.update(frame, keypoints), keypoints)
        assert pose is not None
        return pose


def errors_px(poses: list[ReferencePose], clip: ReferenceClip) -> np.ndarray:
    """Largest distance of a corner from the truth; infinite where the picture was not found."""
    return np.array(
        [
            np.inf
            if pose.corners_xy is None
            else np.linalg.norm(pose.corners_xy - clip.corners_xy(i), axis=1).max()
            for i, pose in enumerate(poses)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("occluder", [False, True])
def test_its_corners_are_where_they_are(superpoint: SuperPoint, seed: int, occluder: bool) -> None:
    clip = ReferenceClip(POSTER, BACKGROUND, size_wh=SIZE_WH, occluder=occluder, seed=seed)
    follower = Follower(superpoint)
    found = errors_px([follower.show(clip.render(i)) for i in range(60)], clip)
    assert np.median(found) <= 0.5
    assert np.mean(found <= 2) >= 0.98


@pytest.mark.slow
def test_between_rare_and_late_detections_it_is_followed(superpoint: SuperPoint) -> None:
    clip = ReferenceClip(POSTER, BACKGROUND, size_wh=SIZE_WH, seed=4)
    follower = Follower(superpoint, every=12, late=4)
    found = errors_px([follower.show(clip.render(i)) for i in range(60)], clip)
    assert np.isinf(found[:4]).all()
    assert (found[4:] <= 2).mean() >= 0.98
    assert np.median(found[4:]) <= 0.5


@pytest.mark.slow
def test_it_is_not_seen_where_it_is_not_and_found_again_where_it_is(superpoint: SuperPoint) -> None:
    clip = ReferenceClip(POSTER, BACKGROUND, size_wh=SIZE_WH, seed=5)
    other = ReferenceClip(procedural_picture((420, 300), 21), BACKGROUND, size_wh=SIZE_WH, seed=5)
    follower = Follower(superpoint)
    shown = [clip.render(i) if i // 15 % 2 else other.render(i) for i in range(60)]
    visible = [follower.show(image).visible for image in shown]
    assert visible[:15] == [False] * 15
    assert visible[30:45] == [False] * 15
    assert sum(visible[15:30]) >= 14
    assert sum(visible[45:]) >= 14


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30, 35))
def test_other_pictures_are_not_taken_for_it(superpoint: SuperPoint, seed: int) -> None:
    clip = ReferenceClip(procedural_picture((420, 300), seed), BACKGROUND, size_wh=SIZE_WH, seed=seed)
    follower = Follower(superpoint)
    assert not any(follower.show(clip.render(i)).visible for i in range(12))


@pytest.mark.slow
def test_a_picture_in_a_mirror_is_another(superpoint: SuperPoint) -> None:
    clip = ReferenceClip(np.ascontiguousarray(POSTER[:, ::-1]), BACKGROUND, size_wh=SIZE_WH, seed=6)
    follower = Follower(superpoint)
    assert not any(follower.show(clip.render(i)).visible for i in range(8))


def test_without_a_reference_there_is_no_pose(superpoint: SuperPoint) -> None:
    follower = Follower(superpoint)
    follower.finder.use(None)
    frame = Frame(0, 0.0, 0.0, BACKGROUND)
    found = superpoint(BACKGROUND)
    assert follower.finder.update(frame, Tracker().update(frame, found), found) is None


def test_a_picture_without_texture_has_a_problem(superpoint: SuperPoint) -> None:
    blank = ReferencePicture(np.full((200, 300, 3), 90, np.uint8), "wall.png")
    assert "the reference wall.png has 0 keypoints only" in describe(blank, SIZE_WH, superpoint).problem
    assert describe(ReferencePicture(POSTER, "poster"), SIZE_WH, superpoint).problem == ""


def test_keypoints_of_all_views_lie_in_the_picture(superpoint: SuperPoint) -> None:
    views = describe(ReferencePicture(POSTER, "poster"), SIZE_WH, superpoint).views
    assert [len(view) > 10 for view in views[:3]] == [True] * 3
    for view in views:
        assert ((view.xy >= 0) & (view.xy <= (419, 299))).all()


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"the reference a\.png of 31x400 is too small: 32 px at least"):
        ReferencePicture(np.zeros((400, 31, 3), np.uint8), "a.png")
