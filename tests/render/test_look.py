"""What colours tell, and what is left out where tracks are crowded."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_kp.config import Colouring
from realtime_kp.frame import Frame
from realtime_kp.keypoints import TrackedFrame, Tracks, TrackState
from realtime_kp.render import HeatMap, Look, render
from realtime_kp.render.look import colours_of, uncrowded

SIZE_WH = (640, 480)


def tracks_at(xy: np.ndarray, **columns: np.ndarray) -> Tracks:
    count = len(xy)
    given = {
        "ids": np.arange(1, count + 1),
        "scores": np.ones(count, np.float32),
        "lengths": np.full(count, 5, np.int32),
        "trails_xy": np.repeat(xy[:, None].astype(np.float32), 5, axis=1),
        **columns,
    }
    return Tracks(
        xy=xy.astype(np.float32),
        states=np.full(count, TrackState.CONFIRMED, np.int8),
        seen=np.ones(count, np.bool_),
        **given,
    )


def colours(tracks: Tracks, colouring: Colouring) -> np.ndarray:
    numbers, palette = colours_of(tracks, colouring, SIZE_WH)
    return palette[numbers].astype(float)


def test_neighbours_are_alike_by_their_birth_wherever_they_are_now() -> None:
    born = np.array([[100.0, 100.0], [104.0, 102.0], [500.0, 100.0], [100.0, 470.0]], np.float32)
    found = colours(tracks_at(np.random.default_rng(0).uniform(0, 400, (4, 2)), born_xy=born), "birth")
    assert np.abs(found[0] - found[1]).max() < 40
    assert np.abs(found[0] - found[2]).max() > 100
    assert np.abs(found[0] - found[3]).max() > 60


@pytest.mark.parametrize(
    ("colouring", "columns"),
    [
        ("age", {"lengths": np.array([1, 400], np.int32)}),
        ("confidence", {"sigma_px": np.array([0.02, 2.0], np.float32)}),
        (
            "speed",
            {"trails_xy": np.array([[[9, 9], [10, 10]], [[9, 9], [40, 30]]], np.float32)},
        ),
    ],
)
def test_little_is_blue_and_much_is_red(colouring: Colouring, columns: dict[str, np.ndarray]) -> None:
    little, much = colours(tracks_at(np.array([[10.0, 10.0], [40.0, 30.0]]), **columns), colouring)
    assert little[0] > little[2]
    assert much[2] > much[0]


def test_what_nothing_is_known_of_has_a_colour() -> None:
    unknown = tracks_at(np.array([[10.0, 10.0]]), trails_xy=np.full((1, 1, 2), np.nan, np.float32))
    for colouring in ("birth", "id", "age", "speed", "confidence"):
        assert np.isfinite(colours(unknown, colouring)).all()


def test_where_it_is_crowded_the_oldest_is_drawn() -> None:
    xy = np.array([[100.0, 100.0], [103.0, 101.0], [300.0, 300.0], [102.0, 102.0]])
    tracks = tracks_at(xy, lengths=np.array([3, 9, 1, 9], np.int32))
    assert uncrowded(tracks, SIZE_WH).tolist() == [False, True, True, False]
    assert uncrowded(Tracks.empty(), SIZE_WH).shape == (0,)


def test_crowded_tracks_are_small_dots() -> None:
    xy = 100 + np.random.default_rng(1).uniform(0, 60, (300, 2))
    trails = xy[:, None] - np.arange(9, -1, -1)[None, :, None] * [4.0, 1.0]
    image = np.full((480, 640, 3), 90, np.uint8)
    frame = TrackedFrame(Frame(0, 0.0, 0.0, image), None, tracks_at(xy, trails_xy=trails.astype(np.float32)))
    thin, full = (render(frame, {"tracks"}, look=Look(crowded=way)) for way in ("thin", "all"))
    covered = [(image != 90).any(axis=2).sum() for image in (thin, full)]
    assert covered[0] < 0.7 * covered[1]
    for x, y in np.rint(xy).astype(int):
        assert (thin[y - 1 : y + 2, x - 1 : x + 2] != 90).any()


def test_heat_is_where_tracks_have_been() -> None:
    heat = HeatMap(SIZE_WH)
    for _ in range(5):
        heat.add(tracks_at(np.array([[100.0, 100.0], [102.0, 101.0], [400.0, 300.0], [9000.0, 5.0]])))
    heat.add(tracks_at(np.array([[100.0, 100.0]])))
    image = np.full((480, 640, 3), 90, np.uint8)
    heat.draw(image)
    hot, warm = image[100, 100].astype(int), image[300, 400].astype(int)
    assert hot[2] > hot[0]
    assert np.abs(warm - 90).max() > 20
    assert (image[400:, :200] == 90).all()
    empty = np.full((480, 640, 3), 90, np.uint8)
    HeatMap(SIZE_WH).draw(empty)
    assert (empty == 90).all()


def test_dots_are_smooth() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    frame = TrackedFrame(Frame(0, 0.0, 0.0, image), None, tracks_at(np.array([[320.3, 240.6]])))
    levels = cv2.cvtColor(render(frame, {"tracks"}), cv2.COLOR_BGR2GRAY)[230:251, 310:331]
    assert len(np.unique(levels)) > 4
