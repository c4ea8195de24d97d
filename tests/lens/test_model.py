from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from realtime_kp.errors import ArgumentError
from realtime_kp.lens import Lens

SIZE_WH = (640, 480)
COEFFICIENTS = (-0.28, 0.07, 0.001, -0.0005, -0.01, 0.02, 0.01, -0.005, 1e-3, 2e-3, -1e-3, 3e-4)
RADIAL = [Lens(SIZE_WH, (500.0, 505.0), (319.5, 239.5), COEFFICIENTS[:count]) for count in (0, 4, 5, 8, 12)]
PINCUSHION = Lens(SIZE_WH, (400.0, 400.0), (310.0, 250.0), (0.3, -0.1, 0.0, 0.0, 0.02))
FISHEYES = [
    Lens(SIZE_WH, (330.0, 332.0), (320.0, 240.0), (0.02, -0.01, 0.003, -0.001), "fisheye"),
    Lens(SIZE_WH, (250.0, 250.0), (319.5, 239.5), (0.0, 0.0, 0.0, 0.0), "fisheye"),
]
LENSES = [*RADIAL, PINCUSHION, *FISHEYES]
PRECISE = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-13)


def pixels(count: int = 500, reach: float = 1.0) -> np.ndarray:
    """Random places in the picture; for `reach` above 1 around it too."""
    rng = np.random.default_rng(1)
    return (rng.uniform(-0.5, 0.5, (count, 2)) * reach + 0.5) * (np.array(SIZE_WH) - 1)


@pytest.mark.parametrize("lens", RADIAL[1:])
def test_normalised_coordinates_are_those_of_opencv(lens: Lens) -> None:
    expected = cv2.undistortPoints(
        pixels()[:, None], lens.matrix, np.array(lens.distortion), criteria=PRECISE
    )
    np.testing.assert_allclose(lens.normalised(pixels()), expected[:, 0], atol=1e-6)


@pytest.mark.parametrize("lens", FISHEYES)
def test_normalised_coordinates_are_those_of_opencv_for_a_fisheye(lens: Lens) -> None:
    expected = cv2.fisheye.undistortPoints(
        pixels()[:, None], lens.matrix, np.array(lens.distortion), criteria=PRECISE
    )
    np.testing.assert_allclose(lens.normalised(pixels()), expected[:, 0], atol=1e-6)


@pytest.mark.parametrize("lens", LENSES)
def test_opencv_projects_normalised_coordinates_back(lens: Lens) -> None:
    found = lens.normalised(pixels())
    if lens.model == "fisheye":
        back = cv2.fisheye.distortPoints(found[:, None], lens.matrix, np.array(lens.distortion))
    else:
        space = np.concatenate([found, np.ones((len(found), 1))], axis=1)
        distortion = np.array(lens.distortion or (0.0,) * 4)
        back, _ = cv2.projectPoints(space, np.zeros(3), np.zeros(3), lens.matrix, distortion)
    np.testing.assert_allclose(back.reshape(-1, 2), pixels(), atol=1e-4)


@pytest.mark.parametrize("lens", LENSES)
def test_undistorted_pixels_are_normalised_coordinates_in_pixels(lens: Lens) -> None:
    normalised = lens.normalised(pixels())
    near = np.hypot(*normalised.T) < np.tan(np.deg2rad(79))
    assert near.mean() > 0.9
    expected = normalised * lens.focal_xy + lens.centre_xy
    np.testing.assert_allclose(lens.undistort(pixels())[near], expected[near], rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize("reach", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("lens", LENSES)
def test_what_left_the_picture_can_come_back(lens: Lens, reach: float) -> None:
    places = pixels(reach=reach)
    np.testing.assert_allclose(lens.distort(lens.undistort(places)), places, atol=2e-3)


@pytest.mark.parametrize("lens", LENSES)
def test_derivatives(lens: Lens) -> None:
    places = lens.undistort(pixels(200, 1.3)).astype(np.float64)
    step = 0.05
    columns = [
        (lens.distort(places + side) - lens.distort(places - side)).astype(np.float64) / (2 * step)
        for side in step * np.eye(2)
    ]
    measured = np.stack(columns, axis=2)
    found = lens.distortion_jacobian(places)
    # Where the continuation begins, a difference spans both sides.
    assert np.mean(np.abs(found - measured).max(axis=(1, 2)) < 0.01) > 0.98
    both = lens.undistortion_jacobian(places) @ found
    np.testing.assert_allclose(both, np.broadcast_to(np.eye(2), both.shape), atol=1e-3)


def test_behind_the_camera_there_are_no_normalised_coordinates() -> None:
    lens = Lens(SIZE_WH, (190.0, 190.0), (319.5, 239.5), (0.0, 0.0, 0.0, 0.0), "fisheye")
    found = lens.normalised(np.array([[319.5, 239.5], [319.5 + 1.6 * 190, 239.5]]))
    np.testing.assert_allclose(found[0], 0, atol=1e-9)
    assert np.isnan(found[1]).all()


def test_where_a_model_folds_back_there_are_no_normalised_coordinates() -> None:
    lens = Lens(SIZE_WH, (250.0, 250.0), (319.5, 239.5), (-0.3, 0.0, 0.0, 0.0))
    assert np.isnan(lens.normalised(np.array([[0.0, 0.0]]))).all()
    assert np.isfinite(lens.undistort(np.array([[0.0, 0.0]]))).all()


def test_no_positions() -> None:
    for lens in LENSES:
        assert lens.normalised(np.zeros((0, 2))).shape == (0, 2)
        assert lens.undistort(np.zeros((0, 2), np.float32)).shape == (0, 2)
        assert lens.distort(np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_a_lens_of_smaller_pictures_sees_the_same_directions() -> None:
    lens = RADIAL[2]
    half = lens.scaled((320, 240))
    np.testing.assert_allclose(
        half.normalised((pixels() + 0.5) / 2 - 0.5), lens.normalised(pixels()), atol=1e-9
    )


def test_pictures_of_another_aspect_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"calibrated with pictures of 640x480 does not fit .* 640x360"):
        LENSES[0].scaled((640, 360))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"focal_xy": (0.0, 500.0)}, "above 0 px"),
        ({"distortion": (0.1, 0.2, 0.3)}, "0 or 4 or 5 or 8 or 12 coefficients, got 3"),
        ({"distortion": (0.1,) * 5, "model": "fisheye"}, "has 4 coefficients, got 5"),
        ({"centre_xy": (float("nan"), 1.0)}, "finite numbers"),
        ({"size_wh": (0, 480)}, "must have a size"),
        ({"model": "omni"}, "got 'omni'"),
    ],
)
def test_impossible_lenses(change: dict[str, object], message: str) -> None:
    values = {"size_wh": SIZE_WH, "focal_xy": (500.0, 500.0), "centre_xy": (320.0, 240.0)}
    with pytest.raises(ArgumentError, match=message):
        Lens(**(values | change))  # type: ignore[arg-type]


def test_lenses_are_compared_by_value_and_pickled() -> None:
    lens = Lens(SIZE_WH, (500.0, 505.0), (319.5, 239.5), COEFFICIENTS[:5])
    assert lens == RADIAL[2]
    RADIAL[2].undistort(pixels())
    again = pickle.loads(pickle.dumps(RADIAL[2]))
    assert again == lens
    np.testing.assert_array_equal(again.undistort(pixels()), lens.undistort(pixels()))


@pytest.mark.parametrize("lens", LENSES[1:])
def test_in_range_are_all_pixels_of_the_picture_and_none_far_outside(lens: Lens) -> None:
    inside, outside = lens.undistort(pixels()), lens.undistort(pixels(reach=20.0))
    seen = np.hypot(*lens.normalised(pixels()).T) < np.tan(np.deg2rad(79))
    np.testing.assert_allclose(lens.in_range(inside)[seen], inside[seen], rtol=1e-5)
    drawn_in = lens.in_range(outside)
    assert np.abs(drawn_in).max() < np.abs(outside).max() / 3
    # They stay in their direction.
    for one, other in zip(outside - lens.centre_xy, drawn_in - lens.centre_xy, strict=True):
        np.testing.assert_allclose(
            one / np.linalg.norm(one / lens.focal_xy),
            other / np.linalg.norm(other / lens.focal_xy),
            rtol=1e-3,
            atol=1,
        )
