from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.errors import SourceError
from realtime_kp.sources import open_source, procedural_picture
from realtime_kp.training.images import TILE_PX, load_tiles
from realtime_kp.training.labels import Labels, label_tile, label_tiles, relabel_tiles, with_confidences_of
from tests.conftest import DATA


def write_picture(path: Path, size_wh: tuple[int, int], seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), procedural_picture(size_wh, seed))


def test_folders_and_zip_files_are_cut_into_tiles(tmp_path: Path) -> None:
    write_picture(tmp_path / "photos" / "deep" / "square.png", (352, 352))
    write_picture(tmp_path / "photos" / "wide.jpg", (528, 352))
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    write_picture(tmp_path / "small.png", (100, 80))
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "small.png", "inside/small.png")
    tiles = load_tiles([tmp_path / "photos", tmp_path / "more.zip"])
    assert tiles.shape == (1 + 2 + 2, TILE_PX, TILE_PX)
    assert tiles.dtype == np.uint8
    left, right = tiles[1:3]
    assert np.array_equal(left[:, 176:], right[:, :176])
    assert len(load_tiles([tmp_path / "photos"], max_tiles=2)) == 2


@pytest.mark.parametrize(("name", "told"), [("nowhere", "not there"), ("empty", "no images")])
def test_no_images_are_an_error(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=told):
        load_tiles([tmp_path / name])


def test_labels_are_the_corners_of_a_checkerboard_to_half_a_pixel() -> None:
    tile = np.full((352, 352), 60, np.uint8)
    for row in range(1, 10):
        for column in range(1, 10):
            if (row + column) % 2:
                tile[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 200
    labels, mass = label_tile(tile, np.random.default_rng(0))
    # Inner corners lie between pixels 32 k - 1 and 32 k.
    corners = np.stack(np.meshgrid(np.arange(2, 10), np.arange(2, 10)), -1).reshape(-1, 2) * 32 - 0.5
    gaps = np.linalg.norm(corners[:, None] - labels[None], axis=2).min(axis=1)
    assert (gaps < 0.6).mean() > 0.95
    assert np.median(gaps) < 0.3
    assert np.all(np.diff(mass) <= 0)
    assert 0 < mass.min() <= mass.max() <= 1


def test_noise_weaker_than_a_camera_s_has_hardly_any_labels() -> None:
    noise = np.random.default_rng(0).integers(126, 131, (352, 352)).astype(np.uint8)
    board = cv2.cvtColor(procedural_picture((352, 352), 1), cv2.COLOR_BGR2GRAY)
    rng = np.random.default_rng(0)
    assert len(label_tile(noise, rng)[0]) < 0.2 * len(label_tile(board, rng)[0])


def test_what_stands_out_more_is_more_surely_a_keypoint() -> None:
    """Blobs are judged against what is around them; how they stand out from the noise counts besides."""
    tile = np.full((160, 160), 60, np.uint8)
    for x, grey in ((40, 220), (120, 80)):
        for y in range(20, 160, 30):
            cv2.circle(tile, (x, y), 4, grey, -1, cv2.LINE_AA)
    xy, mass = label_tile(tile, np.random.default_rng(0))
    assert (np.diff(mass) <= 0).all()
    strong, faint = (mass[np.abs(xy[:, 0] - x) < 10] for x in (40, 120))
    assert len(strong) >= 5
    assert len(faint) >= 3
    assert strong[:5].min() > 1.5 * faint.max()


def test_equal_seeds_give_equal_labels() -> None:
    tiles = cv2.cvtColor(procedural_picture((352, 352), 2), cv2.COLOR_BGR2GRAY)[None]
    done: list[int] = []
    first = label_tiles(tiles, seed=3, processes=1, progress=done.append)
    again = label_tiles(tiles, seed=3, processes=1)
    assert np.array_equal(first.xy, again.xy)
    assert (first.mass[0] > 0).sum() > 20
    assert done == [1]


def test_a_network_labels_what_it_finds_again() -> None:
    with open_source(DATA / "box.mp4") as source:
        image = next(iter(source)).image_bgr
    tiles = cv2.cvtColor(cv2.resize(image, (480, 360))[:352, 64:416], cv2.COLOR_BGR2GRAY)[None]
    done: list[int] = []
    blobs = label_tiles(tiles, seed=3, processes=1)
    labels = relabel_tiles(tiles, blobs, "small", seed=3, progress=done.append)
    sure = labels.mass[0][labels.mass[0] > 0]
    assert len(sure) > 50
    assert np.all(np.diff(labels.mass[0]) <= 0)
    assert 0 < sure.min() < 0.5 * sure.max()
    assert sure.max() <= 1
    assert done == [1]


def test_labels_of_the_second_round_are_as_sure_as_the_blobs_of_their_rank() -> None:
    def labels(xy: list[tuple[float, float]], mass: list[float]) -> Labels:
        room = 500 - len(xy)
        places = np.array([[*xy, *[(0, 0)] * room]], np.float32)
        return Labels(places, np.array([[*mass, *[0] * room]], np.float32))

    # The network's scores count by their order alone; the weakest finds no blob left of its rank.
    found = labels([(90, 90), (120, 120), (50, 50), (70, 70)], [0.05, 0.02, 0.01, 0.005])
    blobs = labels([(10, 10), (120, 122), (51, 50)], [0.3, 0.9, 0.6])
    ranked = with_confidences_of(found, blobs)
    assert np.array_equal(ranked.xy, found.xy)
    assert ranked.mass[0, :4] == pytest.approx([0.9, 0.6, 0.3, 0])
