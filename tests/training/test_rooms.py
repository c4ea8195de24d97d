from __future__ import annotations

import numpy as np
import pytest
import torch

from realtime_kp.sources import procedural_picture
from realtime_kp.sources.room_pairs import room_pairs
from realtime_kp.training.detected_keypoints import detect_pairs
from realtime_kp.training.rooms import RoomTiles, room_tiles
from realtime_kp.training.surfaces import carried
from realtime_kp.training.views import TileSet, Views, make_views

SIDE = 352


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([procedural_picture((SIDE, SIDE), seed)[..., 1] for seed in range(4)])


@pytest.fixture(scope="module")
def rooms(pictures: np.ndarray) -> RoomTiles:
    return room_tiles(pictures, 3, seed=0)


@pytest.fixture(scope="module")
def views(pictures: np.ndarray, rooms: RoomTiles) -> Views:
    """Of tiles and rooms in turn, as the seed has it."""
    tiles = torch.from_numpy(pictures)
    labels = torch.full((4, 5, 2), 170.0)
    tile_set = TileSet(tiles, labels, torch.ones(4, 5), rooms)
    return make_views(tile_set, 24, (256, 192), torch.Generator().manual_seed(0))


def grid() -> torch.Tensor:
    x, y = torch.meshgrid(torch.arange(4.0, 252, 4), torch.arange(4.0, 188, 4), indexing="xy")
    return torch.stack([x, y], dim=2).view(1, -1, 2)


def test_the_way_is_that_of_the_room_itself(pictures: np.ndarray, rooms: RoomTiles) -> None:
    colours = [np.repeat(picture[..., None], 3, axis=2) for picture in pictures]
    for number, pair in enumerate(room_pairs(colours, 3, (SIDE, SIDE), seed=0)):
        there, seen = carried(
            rooms.planes[number : number + 1, 0], rooms.planes[number : number + 1, 1], grid()
        )
        theirs, theirs_seen = pair.truth(grid()[0].numpy())
        inside = ((there[0] >= 0) & (there[0] <= SIDE - 1)).all(dim=1)
        assert float((seen[0] & inside == torch.from_numpy(theirs_seen)).float().mean()) > 0.995
        both = (seen[0] & inside).numpy() & theirs_seen
        assert both.sum() > 100
        np.testing.assert_allclose(there[0].numpy()[both], theirs[both], atol=0.01)


def test_views_of_rooms_show_the_same_things_where_they_say_so(views: Views) -> None:
    there, seen = views.across(grid().expand(24, -1, -1))
    inside = ((there >= 0) & (there <= torch.tensor([255.0, 191.0]))).all(dim=2)
    in_room = (views.mass == 0).all(dim=1)
    assert 5 < int(in_room.sum()) < 20
    for pair in in_room.nonzero().flatten().tolist():
        both = seen[pair] & inside[pair]
        values = []
        for view, places in ((0, grid()[0]), (1, there[pair])):
            scaled = (places + 0.5) / torch.tensor([256.0, 192.0]) * 2 - 1
            image = views.clean[view, pair : pair + 1]
            shown = torch.nn.functional.grid_sample(image, scaled.view(1, 1, -1, 2), align_corners=False)
            values.append(shown.flatten()[both])
        off = (values[0] - values[1]).abs().median()
        assert float(off) < 0.5 * float((values[0] - values[1].roll(7)).abs().median())


def test_only_tiles_have_labels(views: Views) -> None:
    in_room = (views.mass == 0).all(dim=1)
    assert not bool(views.visible[:, in_room].any())
    assert bool(views.visible[:, ~in_room].any())


def test_a_keypoint_that_the_other_view_hides_has_no_counterpart() -> None:
    """The second camera looks at a wall past a screen that covers its left half."""
    wall = torch.tensor([[1 / 320, 0, 0], [0, 1 / 240, 0], [0, 0, 0.5]], dtype=torch.float64)
    screen = torch.tensor([[1 / 80, 0, 0], [0, 1 / 120, 0], [0, 0, 1]], dtype=torch.float64)
    behind = torch.diag(torch.tensor([1.0, 1, -1], dtype=torch.float64))
    planes = torch.stack([torch.stack([wall, behind]), torch.stack([wall, screen])]).unsqueeze(1)
    places = torch.tensor([[[24.0, 60.0], [40.0, 90.0], [120.0, 60.0], [136.0, 90.0]]])
    heat = torch.zeros(2, 120, 160)
    heat[:, places[0, :, 1].long(), places[0, :, 0].long()] = 0.5
    empty = torch.zeros(2, 1, 1, 120, 160)
    shown = torch.ones(2, 1, 1, 120, 160, dtype=torch.bool)
    labels = places.expand(2, -1, -1, -1)
    pair = Views(empty, empty, shown, labels, shown[..., 0, 0, :4], torch.ones(1, 4), planes)
    found = detect_pairs(heat, pair, 400)
    same, _ = found.same(3.0)
    kept = found.first[0][same[0]]
    assert len(kept) == 2
    assert float(kept[:, 0].min()) > 80
