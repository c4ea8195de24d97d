from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from realtime_kp.sources import procedural_picture
from realtime_kp.training.degradation import change_light
from realtime_kp.training.surfaces import apply, single_surface
from realtime_kp.training.views import TileSet, make_views


@pytest.fixture(scope="module")
def tiles() -> TileSet:
    images, places = [], []
    for seed in range(3):
        grey = cv2.cvtColor(procedural_picture((352, 352), seed), cv2.COLOR_BGR2GRAY)
        images.append(grey)
        places.append(cv2.goodFeaturesToTrack(grey, 100, 0.001, 8).reshape(-1, 2)[:100])
    xy, mass = np.zeros((3, 120, 2), np.float32), np.zeros((3, 120), np.float32)
    for i, found in enumerate(places):
        xy[i, : len(found)], mass[i, : len(found)] = found, 1
    return TileSet(torch.from_numpy(np.stack(images)), torch.from_numpy(xy), torch.from_numpy(mass))


def test_equal_seeds_give_equal_views(tiles: TileSet) -> None:
    first, again, other = (
        make_views(tiles, 4, (128, 96), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.grey, again.grey)
    assert torch.equal(first.xy, again.xy)
    assert not torch.equal(first.grey, other.grey)
    assert first.grey.shape == (2, 4, 1, 96, 128)
    assert 0 <= float(first.grey.min()) <= float(first.grey.max()) <= 1


def test_labels_lie_on_the_same_points_in_both_views(tiles: TileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_kp.training.views.change_light", lambda grey, generator: grey)
    views = make_views(tiles, 12, (256, 192), torch.Generator().manual_seed(0))
    differences = []
    for b in range(12):
        both = views.visible[:, b].all(dim=0).numpy()
        patches = []
        for k in range(2):
            image = views.grey[k, b, 0].numpy()
            xy = views.xy[k, b][both].numpy()
            patches.append(cv2.remap(image, xy[:, 0].copy(), xy[:, 1].copy(), cv2.INTER_LINEAR).ravel())
        differences.append(np.abs(patches[0] - patches[1]))
        if b % 3 == 0 and both.sum() > 10:
            shuffled = np.abs(patches[0] - np.roll(patches[1], 1))
            assert np.median(differences[-1]) < 0.5 * np.median(shuffled)
    assert np.median(np.concatenate(differences)) < 0.03


def test_far_views_are_squeezed_and_near_ones_are_not(tiles: TileSet) -> None:
    views = make_views(tiles, 64, (64, 48), torch.Generator().manual_seed(0))
    middle = torch.tensor([[[31.5, 23.5], [32.5, 23.5], [31.5, 24.5]]]).expand(64, -1, -1)
    moved, _ = views.across(middle)
    steps = torch.stack([moved[:, 1] - moved[:, 0], moved[:, 2] - moved[:, 0]], dim=2)
    longest, shortest = torch.linalg.svdvals(steps).T
    ratios = shortest / longest
    far = torch.arange(64) % 3 > 0
    assert float(ratios[~far].min()) > 0.85
    assert 0.2 < float(ratios[far].min()) < 0.45


def test_what_a_view_is_too_coarse_for_is_blurred_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_kp.training.views.change_light", lambda grey, generator: grey)
    stripes = torch.zeros(1, 352, 352, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    tiles = TileSet(stripes, torch.zeros(1, 1, 2), torch.zeros(1, 1))
    views = make_views(tiles, 64, (64, 48), torch.Generator().manual_seed(0))
    step = torch.tensor([[[31.5, 23.5], [32.5, 23.5], [31.5, 24.5]]]).expand(128, -1, -1)
    picture = torch.linalg.inv(single_surface(352)) @ views.planes[:, :, 0]
    source = apply(picture.flatten(0, 1).float(), step)
    # Stripes are across x: a view is coarse where a pixel of it moves far along x of the tile.
    across_px = (source[:, 1:, 0] - source[:, :1, 0]).norm(dim=1)
    contrast = views.grey.flatten(0, 1)[:, 0, 20:28, 28:36].std(dim=(1, 2))
    well_inside = ((source >= 50) & (source <= 300)).all(dim=2).all(dim=1)
    coarse, fine = well_inside & (across_px > 2), well_inside & (across_px < 0.7)
    assert int(coarse.sum()) >= 5
    assert int(fine.sum()) >= 5
    assert float(contrast[coarse].max()) < 0.03
    assert float(contrast[fine].min()) > 0.25


def test_the_surfaces_lead_from_one_view_to_the_other_and_back(tiles: TileSet) -> None:
    views = make_views(tiles, 8, (256, 192), torch.Generator().manual_seed(0))
    both = views.visible.all(dim=0)
    assert int(both.sum()) > 20
    for moved, place in ((views.across(views.xy[0]), views.xy[1]), (views.back(views.xy[1]), views.xy[0])):
        there, seen = moved
        torch.testing.assert_close(there[both], place[both], atol=1e-2, rtol=0)
        assert bool(seen[both].all())


def test_every_third_pair_is_near(tiles: TileSet) -> None:
    views = make_views(tiles, 16, (256, 192), torch.Generator().manual_seed(0))
    moved = (views.xy[0] - views.xy[1]).norm(dim=2)
    shown = views.visible.all(dim=0)
    mean = np.array([float(moved[b][shown[b]].mean()) for b in range(16)])
    near = np.arange(16) % 3 == 0
    assert np.nanmedian(mean[near]) < 0.5 * np.nanmedian(mean[~near])


def test_what_lies_off_the_tile_is_not_shown(tiles: TileSet) -> None:
    views = make_views(tiles, 16, (256, 192), torch.Generator().manual_seed(0))
    assert 0.5 < float(views.shown.float().mean()) < 1
    assert not bool(views.visible.all())


def test_light_changes_every_image_in_its_own_way() -> None:
    grey = torch.full((6, 1, 32, 32), 0.5)
    changed = change_light(grey, torch.Generator().manual_seed(0))
    assert float(changed.mean(dim=(1, 2, 3)).std()) > 0.03
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
