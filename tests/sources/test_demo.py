from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.sources import DEMO_FRAMES, DemoSource, DemoSpec, Scene, procedural_picture
from realtime_kp.sources.scene import Motion

SIZE_WH = (320, 240)


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return procedural_picture((464, 348), seed=3)


@pytest.fixture(scope="module")
def large_picture() -> NDArray[np.uint8]:
    return procedural_picture((928, 696), seed=3)


def grid(size_wh: tuple[int, int], step: int = 16) -> NDArray[np.float32]:
    x, y = np.meshgrid(np.arange(8, size_wh[0] - 8, step), np.arange(8, size_wh[1] - 8, step))
    return np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("demo", DemoSpec()),
        ("demo?motion=still", DemoSpec(motion="still")),
        (
            "demo?motion=handheld&occluder=1&seed=7&size=320x240&frames=12",
            DemoSpec(occluder=True, seed=7, size_wh=(320, 240), frames=12),
        ),
        ("demo:photos/a%3Fb.jpg?seed=2", DemoSpec(picture=Path("photos/a?b.jpg"), seed=2)),
        (
            "demo:a.jpg?motion=fast&flicker=1&every=3",
            DemoSpec(picture=Path("a.jpg"), motion="fast", flicker=True, every=3),
        ),
        ("demo:a.jpg", DemoSpec(picture=Path("a.jpg"))),
    ],
)
def test_text_of_a_demo(text: str, spec: DemoSpec) -> None:
    assert DemoSpec.parse(text) == spec


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("speed=3", "'speed'"),
        ("motion=wild", "'wild'"),
        ("occluder=yes", "'yes'"),
        ("flicker=on", "'on'"),
        ("every=0", "'0'"),
        ("seed=x", "'x'"),
        ("seed=", "''"),
        ("seed=-1", "-1"),
        ("size=640", "'640'"),
        ("size=0x480", "'0x480'"),
        ("frames=1.5", "'1.5'"),
        ("frames=0", "0"),
        ("frames=-3", "-3"),
    ],
)
def test_wrong_text_is_told(query: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        DemoSpec.parse(f"demo?{query}")


def test_frames_have_size_index_and_time() -> None:
    with DemoSource(DemoSpec(size_wh=SIZE_WH), frames=3) as source:
        info, frames = source.info, list(source)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 1 / 30, 2 / 30])
    assert {frame.size_wh for frame in frames} == {SIZE_WH}
    assert (info.name, info.size_wh, info.fps, info.frame_count, info.live) == ("demo", SIZE_WH, 30, 3, False)


def test_number_in_the_text_wins() -> None:
    with DemoSource(DemoSpec(size_wh=(64, 48), frames=2), frames=5) as source:
        assert len(list(source)) == 2


def test_default_length() -> None:
    assert DemoSource(DemoSpec()).info.frame_count == DEMO_FRAMES == 300


def test_endless_demo_goes_on() -> None:
    with DemoSource(DemoSpec(size_wh=(32, 24)), frames=None) as source:
        assert source.info.frame_count is None
        assert [frame.index for frame in islice(source, 310)][-1] == 309


def test_start_begins_inside_the_same_scene() -> None:
    spec = DemoSpec(size_wh=(64, 48))
    with DemoSource(spec, frames=10) as source:
        whole = list(source)
    with DemoSource(spec, frames=10, start_s=0.2) as source:
        info, late = source.info, list(source)
    assert info.frame_count == len(late) == 4
    assert [frame.index for frame in late] == [0, 1, 2, 3]
    assert late[0].time_s == pytest.approx(0.2)
    assert np.array_equal(late[0].image_bgr, whole[6].image_bgr)


def test_start_after_the_end_is_an_error() -> None:
    with pytest.raises(SourceError), DemoSource(DemoSpec(size_wh=(64, 48)), frames=5, start_s=9) as source:
        list(source)


def test_missing_photograph_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.jpg"), DemoSource(DemoSpec(picture=tmp_path / "gone.jpg")):
        pass


def test_photograph_is_what_is_moved(tmp_path: Path) -> None:
    red = np.zeros((60, 80, 3), np.uint8)
    red[..., 2] = 200
    assert cv2.imwrite(str(tmp_path / "red.png"), red)
    spec = DemoSpec(picture=tmp_path / "red.png", motion="still", size_wh=(64, 48))
    with DemoSource(spec, frames=1) as source:
        image = next(iter(source)).image_bgr
    assert image.reshape(-1, 3).mean(axis=0) == pytest.approx([0, 0, 200], abs=4)


@pytest.mark.parametrize("motion", ["handheld", "still"])
def test_equal_seeds_give_equal_frames(motion: str) -> None:
    spec = DemoSpec.parse(f"demo?motion={motion}&seed=4&size=128x96&occluder=1")
    first, again = spec.scene(), spec.scene()
    assert all(np.array_equal(first.render(i), again.render(i)) for i in (0, 17, 45))


def test_fast_moves_faster_and_zoom_turns_further_than_the_hand() -> None:
    size_wh = (320, 240)
    middle = np.array([[160, 120]], np.float32)

    def steps_px(motion: Motion) -> float:
        scene = DemoSpec(motion=motion, seed=2, size_wh=size_wh).scene()
        moved = [scene.truth(i, i + 1, middle)[0] - middle for i in range(0, 90, 3)]
        return float(np.linalg.norm(moved, axis=2).mean())

    def turns_deg(motion: Motion) -> float:
        scene = DemoSpec(motion=motion, seed=2, size_wh=size_wh).scene()
        angles = [np.arctan2(h[1, 0], h[0, 0]) for h in map(scene.homography, range(90))]
        return float(np.rad2deg(np.ptp(angles)))

    assert steps_px("fast") > 1.8 * steps_px("handheld")
    assert turns_deg("zoom") > 2 * turns_deg("handheld")


@pytest.mark.parametrize("motion", ["fast", "zoom"])
def test_the_truth_of_every_motion_is_what_the_pictures_show(
    motion: Motion, large_picture: NDArray[np.uint8]
) -> None:
    scene = Scene(large_picture, (320, 240), motion, seed=1)
    a, b = 30, 31
    before, after = (cv2.cvtColor(scene.render(i), cv2.COLOR_BGR2GRAY) for i in (a, b))
    corners = cv2.goodFeaturesToTrack(before, 100, 0.05, 10).reshape(-1, 2)
    truth, visible = scene.truth(a, b, corners)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, truth.copy(), flags=4)
    gaps = np.linalg.norm(there - truth, axis=1)[visible & (found.ravel() == 1)]
    assert len(gaps) > 30
    assert np.median(gaps) < 0.3


def test_flicker_changes_the_light_from_frame_to_frame(picture: NDArray[np.uint8]) -> None:
    steady = [Scene(picture, SIZE_WH, "still").render(i).mean() for i in range(12)]
    flickering = [Scene(picture, SIZE_WH, "still", flicker=True).render(i).mean() for i in range(12)]
    assert np.std(steady) < 1
    assert np.std(flickering) > 5


def test_every_nth_frame_of_the_scene_is_shown() -> None:
    spec = DemoSpec(seed=4, size_wh=(128, 96), every=5)
    with DemoSource(spec, frames=3) as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == [0, 1 / 30, 2 / 30]
    assert np.array_equal(frames[2].image_bgr, spec.scene().render(10))


def test_other_seeds_give_other_frames() -> None:
    first, other = (DemoSpec(seed=seed, size_wh=(128, 96)).scene() for seed in (0, 1))
    assert not np.array_equal(first.render(0), other.render(0))


def test_noise_differs_from_frame_to_frame(picture: NDArray[np.uint8]) -> None:
    scene = Scene(picture, SIZE_WH, "still")
    difference = scene.render(1).astype(np.int16) - scene.render(0)
    # Two independent draws of σ = 4; clipping at black and white takes a little away.
    assert difference.std() == pytest.approx(4 * np.sqrt(2), rel=0.1)


def test_procedural_picture_is_told_by_its_seed() -> None:
    picture = procedural_picture((160, 120), seed=5)
    assert (picture.shape, picture.dtype) == ((120, 160, 3), np.uint8)
    assert np.array_equal(picture, procedural_picture((160, 120), seed=5))
    assert not np.array_equal(picture, procedural_picture((160, 120), seed=6))
    assert picture.std() > 20


def grey_without_gain(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lucas–Kanade takes brightness for constant, the scene changes it."""
    level = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.float32)
    return np.asarray((level * (110 / level.mean())).round().clip(0, 255), np.uint8)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("i", "j"), [(0, 3), (40, 37), (100, 104)])
def test_truth_is_how_the_picture_moves(large_picture: NDArray[np.uint8], seed: int, i: int, j: int) -> None:
    scene = Scene(large_picture, seed=seed)
    before, after = (grey_without_gain(scene.render(index)) for index in (i, j))
    points = cv2.goodFeaturesToTrack(before, 100, 0.02, 8).reshape(-1, 2)
    truth, visible = scene.truth(i, j, points)
    flow, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, winSize=(21, 21), maxLevel=4)
    errors = (flow - truth)[visible & (found.ravel() == 1)]
    assert len(errors) > 50
    assert np.median(np.linalg.norm(errors, axis=1)) < 0.3
    assert np.abs(np.median(errors, axis=0)).max() < 0.1
    assert np.median(np.linalg.norm(truth - points, axis=1)) > 3


def test_truth_there_and_back_is_where_it_began(picture: NDArray[np.uint8]) -> None:
    scene, points = Scene(picture, SIZE_WH, seed=2), grid(SIZE_WH)
    there, _ = scene.truth(5, 60, points)
    back, _ = scene.truth(60, 5, there)
    assert np.abs(there - points).max() > 5
    assert np.abs(back - points).max() < 1e-2


def test_truth_goes_through_any_frame_between(picture: NDArray[np.uint8]) -> None:
    scene, points = Scene(picture, SIZE_WH, seed=2), grid(SIZE_WH)
    middle, _ = scene.truth(5, 30, points)
    assert np.abs(scene.truth(30, 60, middle)[0] - scene.truth(5, 60, points)[0]).max() < 1e-2


def test_still_scene_stays(picture: NDArray[np.uint8]) -> None:
    scene, points = Scene(picture, SIZE_WH, "still"), grid(SIZE_WH)
    moved, visible = scene.truth(0, 77, points)
    assert np.abs(moved - points).max() < 1e-3
    assert visible.all()


def test_points_that_leave_the_frame_are_not_visible(picture: NDArray[np.uint8]) -> None:
    scene, points = Scene(picture, SIZE_WH, seed=1), grid(SIZE_WH, 4)
    moved, visible = scene.truth(0, 30, points)
    inside = ((moved >= -0.5) & (moved < np.array(SIZE_WH) - 0.5)).all(axis=1)
    assert 0 < inside.sum() < len(points)
    assert not visible[~inside].any()
    assert visible[inside].mean() > 0.9


def test_points_off_the_picture_are_not_visible() -> None:
    scene = Scene(procedural_picture((464, 348)), SIZE_WH, "still")
    points = np.array([[160, 120], [-90, 120], [160, 300], [500, 120]], np.float32)
    assert scene.truth(0, 1, points)[1].tolist() == [True, False, False, False]


def test_truth_of_no_points(picture: NDArray[np.uint8]) -> None:
    moved, visible = Scene(picture, SIZE_WH).truth(0, 1, np.zeros((0, 2), np.float32))
    assert (moved.shape, moved.dtype, visible.shape, visible.dtype) == ((0, 2), np.float32, (0,), np.bool_)


def test_points_behind_the_box_are_not_visible(large_picture: NDArray[np.uint8]) -> None:
    size_wh = (640, 480)
    plain = Scene(large_picture, size_wh, "still", occluder=False, seed=1)
    covered = Scene(large_picture, size_wh, "still", occluder=True, seed=1)
    hidden_picture = (covered.render(45) != plain.render(45)).any(axis=2)
    points = grid(size_wh, 8)
    columns, rows = points.astype(int).T
    behind = hidden_picture[rows, columns]
    assert 0.1 < behind.mean() < 0.5
    for i, j in ((45, 0), (0, 45)):
        _, visible = covered.truth(i, j, points)
        # By chance the box can have the colour of the picture at a point.
        assert not visible[behind].any()
        assert (~visible).sum() - behind.sum() <= 0.02 * behind.sum()
    assert plain.truth(0, 45, points)[1].all()


def test_box_crosses_in_frames_30_to_60_of_90(large_picture: NDArray[np.uint8]) -> None:
    size_wh = (640, 480)
    scene, points = Scene(large_picture, size_wh, "still", occluder=True), grid(size_wh)
    hidden = [i for i in range(180) if not scene.truth(i, i, points)[1].all()]
    assert set(hidden) <= {*range(30, 60), *range(120, 150)}
    assert len(hidden) > 50
