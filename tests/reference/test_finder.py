"""A reference picture on a plane that moves before another picture: where its corners are is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from realtime_kp.errors import ArgumentError
from realtime_kp.evaluation.reference_clips import ReferenceClip
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import ReferencePose
from realtime_kp.lens import Lens
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

    def __init__(
        self,
        superpoint: SuperPoint,
        every: int = 1,
        late: int = 0,
        picture: ReferencePicture | None = None,
        lens: Lens | None = None,
    ) -> None:
        self._superpoint, self._every, self._late = superpoint, every, late
        self._tracker, self._frames = Tracker(), list[Frame]()
        self.finder = ReferenceFinder()
        self._lens = lens
        self.finder.use(describe(picture or ReferencePicture(POSTER, "poster"), SIZE_WH, superpoint))

    def show(self, image: np.ndarray) -> ReferencePose:
        index = len(self._frames)
        frame = Frame(index, index / 30, 0.0, image, lens=self._lens)
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


LENS = Lens(SIZE_WH, (480.0, 480.0), (239.5, 179.5), (-0.25, 0.06, 0.001, -0.0005))


def bent(image: np.ndarray) -> np.ndarray:
    """What the lens makes of a picture of its pinhole camera."""
    y, x = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    straight = LENS.undistort(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32))
    places = straight.reshape(*x.shape, 2)
    return np.asarray(cv2.remap(image, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.timeout(600)
def test_through_a_lens_its_corners_and_its_pose_are_right(superpoint: SuperPoint, seed: int) -> None:
    clip = ReferenceClip(POSTER, BACKGROUND, size_wh=SIZE_WH, seed=seed)
    np.testing.assert_allclose(clip.camera_matrix, LENS.matrix)
    # Its width is the unit of the clip: here a metre.
    picture = ReferencePicture(POSTER, "poster", (1.0, POSTER.shape[0] / POSTER.shape[1]))
    follower = Follower(superpoint, picture=picture, lens=LENS)
    poses = [follower.show(bent(clip.render(i))) for i in range(40)]
    gaps, turns, shares = [], [], []
    for i, pose in enumerate(poses):
        rotation, middle_m = clip.pose(i)
        assert pose.corners_xy is not None
        assert pose.rotation is not None
        assert pose.translation_m is not None
        gaps.append(np.linalg.norm(pose.corners_xy - LENS.distort(clip.corners_xy(i)), axis=1).max())
        between = cv2.Rodrigues(pose.rotation)[0].T @ rotation
        turns.append(np.degrees(np.linalg.norm(cv2.Rodrigues(between)[0])))
        shares.append(np.linalg.norm(pose.translation_m - middle_m) / middle_m[2])
    assert np.median(gaps) <= 0.5
    assert np.mean(np.array(gaps) <= 2) >= 0.95
    assert np.median(turns) < 0.5
    assert np.median(shares) < 0.003


def test_without_its_size_or_a_lens_there_is_no_pose(superpoint: SuperPoint) -> None:
    clip = ReferenceClip(POSTER, BACKGROUND, size_wh=SIZE_WH, seed=1)
    sized = ReferencePicture(POSTER, "poster", (0.42, 0.3))
    for follower in (Follower(superpoint, picture=sized), Follower(superpoint, lens=LENS)):
        pose = follower.show(clip.render(0))
        assert pose.visible
        assert pose.rotation is None
        assert pose.translation_m is None
