from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from realtime_kp.features.decode import torch_decoder
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.decode.suppression import non_maximum_suppression


def heat_with_peaks(*peaks: tuple[float, float, float], size_wh: tuple[int, int] = (64, 48)) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size_wh[1]), torch.arange(size_wh[0]), indexing="ij")
    heat = torch.zeros(size_wh[1], size_wh[0])
    for px, py, height in peaks:
        heat += height * torch.exp(-((x - px) ** 2 + (y - py) ** 2) / 2)
    return heat[None]


def test_heatmap_lays_the_64_channels_out_as_8_by_8_pixels() -> None:
    logits = torch.full((1, 65, 2, 3), -20.0)
    logits[0, 8 * 5 + 2, 1, 2] = 20.0  # row 5, column 2 of the cell in row 1, column 2
    heat = torch_decoder.heatmap(logits)
    assert heat.shape == (1, 16, 24)
    assert heat[0, 8 + 5, 16 + 2] == pytest.approx(1.0)


def test_heatmap_is_float32_whatever_the_network_ran_in() -> None:
    assert torch_decoder.heatmap(torch.zeros(1, 65, 2, 2, dtype=torch.bfloat16)).dtype == torch.float32


def test_all_four_borders_are_trimmed() -> None:
    trimmed = torch_decoder.trim_border(torch.ones(1, 16, 24), 4)[0]
    assert trimmed[4:12, 4:20].all()
    assert trimmed.sum() == 8 * 16


@pytest.mark.parametrize("radius", [0, 1, 2, 4, 9])
def test_top_keypoints_are_the_best_survivors(radius: int) -> None:
    heat = torch.rand(2, 48, 64, generator=torch.Generator().manual_seed(1))
    peaks = non_maximum_suppression(heat, radius)
    xy, scores = torch_decoder.top_keypoints(peaks, 20, radius)
    for image in range(2):
        expected = peaks[image].flatten().sort(descending=True).values[: len(scores[image])]
        assert torch.equal(scores[image], expected)
        x, y = xy[image].long().T
        assert torch.equal(peaks[image, y, x], scores[image])


def test_refining_finds_the_centre_between_pixels() -> None:
    heat = heat_with_peaks((20.3, 17.8, 1.0), (40.0, 30.0, 0.5))
    refined = torch_decoder.refine(heat, torch.tensor([[[20.0, 18.0], [40.0, 30.0]]]))
    np.testing.assert_allclose(refined[0].numpy(), [[20.3, 17.8], [40.0, 30.0]], atol=0.05)


def test_refining_at_the_edge_stays_on_the_map() -> None:
    refined = torch_decoder.refine(torch.ones(1, 16, 16), torch.tensor([[[0.0, 15.0]]]))
    assert ((refined >= 0) & (refined <= 15)).all()


def linear_map(rows: int, columns: int) -> torch.Tensor:
    """A unit descriptor per cell whose angle grows linearly with the column."""
    angle = torch.linspace(0, 0.5, columns).expand(rows, columns)
    return torch.stack([angle.cos(), angle.sin()], dim=-1)[None]


def test_descriptors_are_sampled_at_the_exact_place() -> None:
    cells = linear_map(6, 8)
    xy = torch.tensor([[[3.5 + 8 * 3, 3.5 + 8 * 2], [3.5 + 8 * 3.5, 20.0]]])
    found = torch_decoder.sample_descriptors(cells, xy, "exact")[0]
    angles = torch.atan2(found[:, 1], found[:, 0])
    step = 0.5 / 7
    np.testing.assert_allclose(angles.numpy(), [3 * step, 3.5 * step], atol=1e-5)


def test_the_transformers_grid_is_transformers_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(1, 6, 8, 16, generator=generator)
    xy = torch.rand(1, 30, 2, generator=generator) * torch.tensor([47.0, 31.0]) + 8
    scaled = (xy - 3.5) / torch.tensor([8 * 8 - 4.5, 6 * 8 - 4.5]) * 2 - 1
    unit = functional.normalize(cells.permute(0, 3, 1, 2), dim=1)
    expected = functional.grid_sample(unit, scaled[:, None], mode="bilinear", align_corners=True)[0, :, 0].T
    found = torch_decoder.sample_descriptors(cells, xy, "transformers")[0]
    np.testing.assert_allclose(found.numpy(), functional.normalize(expected, dim=1).numpy(), atol=1e-5)


@pytest.mark.parametrize("grid", ["exact", "transformers"])
def test_descriptors_have_unit_length_even_in_the_corners(grid: str) -> None:
    cells = torch.randn(1, 6, 8, 16)
    xy = torch.tensor([[[0.0, 0.0], [63.0, 47.0], [0.0, 47.0], [31.0, 20.0]]])
    found = torch_decoder.sample_descriptors(cells, xy, grid)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.norm(dim=2).numpy(), 1, atol=1e-5)


def test_a_batch_gives_what_its_images_give_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 65, 6, 8, generator=generator) * 3
    cells = torch.randn(3, 6, 8, 16, generator=generator)
    settings = DecodeSettings(20, 4, 4, True, "exact")
    together = torch_decoder.decode(logits, cells, settings)
    for i in range(3):
        alone = torch_decoder.decode(logits[i : i + 1], cells[i : i + 1], settings)
        np.testing.assert_allclose(together.xy[i], alone.xy[0], atol=1e-4)
        np.testing.assert_allclose(together.descriptors[i], alone.descriptors[0], atol=1e-5)
