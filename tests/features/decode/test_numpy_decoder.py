from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from realtime_kp.features.decode import torch_decoder
from realtime_kp.features.decode.numpy_decoder import decode_arrays, find_peaks, heatmap
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.decode.suppression import non_maximum_suppression


def heat_map(seed: int, *, ties: bool = False, size_wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    heat = torch.rand(size_wh[1], size_wh[0], generator=torch.Generator().manual_seed(seed)) ** 4
    return (heat.bfloat16().float() if ties else heat).numpy()


def peaks(
    heat: np.ndarray,
    *,
    count: int = 1000,
    radius: int = 4,
    border: int = 0,
    threshold: float = 0.0,
    subpixel: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    return find_peaks(heat, DecodeSettings(count, radius, border, subpixel, "exact"), threshold)


@pytest.mark.parametrize("radius", [0, 1, 2, 4, 9])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.6, 0.97])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_survivors_are_those_of_the_reference_rule(radius: int, threshold: float, seed: int) -> None:
    heat = heat_map(seed)
    expected = non_maximum_suppression(torch.from_numpy(heat)[None], radius)[0].numpy()
    xy, scores = peaks(heat, count=heat.size, radius=radius, threshold=threshold)
    x, y = xy.astype(int).T
    np.testing.assert_array_equal(scores, np.sort(expected[expected > threshold])[::-1])
    np.testing.assert_array_equal(expected[y, x], scores)


@pytest.mark.parametrize("radius", [1, 2, 4, 9])
@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_of_ties_side_by_side_one_is_taken(radius: int, threshold: float) -> None:
    heat = heat_map(5, ties=True)
    suppressed = non_maximum_suppression(torch.from_numpy(heat)[None], radius)
    expected_xy, expected = (part[0].numpy() for part in torch_decoder.top_keypoints(suppressed, 40, radius))
    xy, scores = peaks(heat, count=40, radius=radius, threshold=threshold)
    above = expected > threshold
    np.testing.assert_array_equal(scores, expected[above])
    # Equal scores may come in any order, and which of them are the last to be taken is open.
    sure = expected_xy[above & (expected > expected[-1])]
    assert {tuple(place) for place in sure.tolist()} <= {tuple(place) for place in xy.tolist()}


def test_all_four_borders_are_left_out() -> None:
    xy, _ = peaks(heat_map(1), radius=0, border=5, count=10**6)
    assert len(xy) == 54 * 38
    assert xy.min(axis=0).tolist() == [5, 5]
    assert xy.max(axis=0).tolist() == [58, 42]


def test_an_empty_map_has_no_peaks() -> None:
    xy, scores = peaks(np.zeros((48, 64), np.float32), subpixel=True, border=4)
    assert xy.shape == (0, 2)
    assert scores.shape == (0,)


@pytest.mark.parametrize("border", [0, 1, 4])
def test_refining_is_that_of_a_gpu(border: int) -> None:
    heat = heat_map(7)
    whole, _ = peaks(heat, border=border, radius=2)
    refined, _ = peaks(heat, border=border, radius=2, subpixel=True)
    expected = torch_decoder.refine(torch.from_numpy(heat)[None], torch.from_numpy(whole)[None])[0]
    np.testing.assert_allclose(refined, expected.numpy(), atol=1e-5)


def outputs(batch: int, rows: int = 12, columns: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(batch, 65, rows, columns, generator=generator) * 3
    return logits, torch.randn(batch, rows, columns, 16, generator=generator)


@pytest.mark.parametrize("offset", [0.0, 150.0, -150.0])
def test_the_heat_map_is_that_of_a_gpu(offset: float) -> None:
    logits = outputs(1)[0] + offset
    np.testing.assert_allclose(
        heatmap(logits[0].numpy()), torch_decoder.heatmap(logits)[0].numpy(), atol=1e-6
    )


def test_channels_may_come_last_in_memory() -> None:
    logits = outputs(1)[0]
    channels_last = logits.contiguous(memory_format=torch.channels_last)
    assert not channels_last[0].is_contiguous()
    np.testing.assert_array_equal(heatmap(channels_last[0].numpy()), heatmap(logits[0].numpy()))


@pytest.mark.parametrize("grid", ["exact", "transformers"])
@pytest.mark.parametrize("threshold", [0.0, 0.02])
@pytest.mark.parametrize(("batch", "rows", "columns"), [(1, 12, 16), (3, 12, 16), (1, 1, 16), (1, 12, 1)])
def test_a_cpu_decodes_as_a_gpu_does(
    grid: Literal["exact", "transformers"], threshold: float, batch: int, rows: int, columns: int
) -> None:
    logits, cells = outputs(batch, rows, columns)
    settings = DecodeSettings(60, 4, 0, True, grid)
    theirs = torch_decoder.decode(logits, cells, settings)
    ours = decode_arrays(logits.numpy(), cells.numpy(), settings, threshold)
    counts = (theirs.scores > threshold).sum(dim=1).tolist()
    assert max(counts) == ours[1].shape[1]
    for image, count in enumerate(counts):
        assert count > 1
        assert not ours[1][image, count:].any()
        for found, expected in zip(ours, (theirs.xy, theirs.scores, theirs.descriptors), strict=True):
            np.testing.assert_allclose(found[image, :count], expected[image, :count].numpy(), atol=1e-5)


def test_nothing_above_the_threshold_is_no_keypoint() -> None:
    logits, cells = (part.numpy() for part in outputs(2))
    xy, scores, descriptors = decode_arrays(logits, cells, DecodeSettings(60, 4, 4, True, "exact"), 0.999)
    assert xy.shape == (2, 0, 2)
    assert scores.shape == (2, 0)
    assert descriptors.shape == (2, 0, 16)
