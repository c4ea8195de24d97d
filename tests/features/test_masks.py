"""Masks of detection: nothing is found where they are 0, and what is found elsewhere is not less for it."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from realtime_kp import SuperPoint
from realtime_kp.features import MemoryFallbackExtractor
from realtime_kp.features.decode.numpy_decoder import decode_arrays
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.decode.torch_decoder import decode
from realtime_kp.frame import masked_out
from realtime_kp.sources import procedural_picture

SIZE_WH = (320, 240)
BUDGET = 60


@pytest.fixture(scope="module")
def superpoint() -> Iterator[SuperPoint]:
    with SuperPoint(model="small", resize="320", precision="fp32", max_keypoints=BUDGET) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return procedural_picture(SIZE_WH, 3)


def left_hidden() -> NDArray[np.uint8]:
    mask = np.full(SIZE_WH[::-1], 255, np.uint8)
    mask[:, :160] = 0
    return mask


@pytest.mark.parametrize("kind", [np.uint8, np.bool_])
def test_the_whole_budget_is_spent_where_it_may_be(
    superpoint: SuperPoint, image: NDArray[np.uint8], kind: type
) -> None:
    plain, masked = superpoint(image), superpoint(image, left_hidden().astype(kind))
    assert len(plain) == BUDGET
    assert (plain.xy[:, 0] < 160).sum() > 10
    assert len(masked) == BUDGET
    assert (np.rint(masked.xy[:, 0]) >= 160).all()
    # Those that the budget allowed before are still there.
    kept = plain.xy[plain.xy[:, 0] > 165]
    assert all(np.abs(masked.xy - xy).sum(axis=1).min() < 1e-3 for xy in kept)


def test_each_image_of_a_batch_has_its_own_mask(superpoint: SuperPoint, image: NDArray[np.uint8]) -> None:
    hidden = left_hidden()
    found = superpoint.submit([image] * 3, masks=[None, hidden, 255 - hidden])()
    none, left, right = (each.keypoints.xy[:, 0] for each in found)
    assert none.min() < 160 <= none.max()
    assert np.rint(left).min() >= 160
    assert np.rint(right).max() < 160


def test_a_mask_of_a_large_image_holds_to_the_pixel(superpoint: SuperPoint) -> None:
    image = procedural_picture((1280, 960), 1)
    mask = np.zeros((960, 1280), np.uint8)
    cv2.circle(mask, (640, 480), 333, 255, -1)
    found = superpoint(image, mask)
    assert len(found) > 20
    assert not masked_out(mask, found.xy).any()


def test_nothing_is_found_where_all_is_masked(superpoint: SuperPoint, image: NDArray[np.uint8]) -> None:
    assert len(superpoint(image, np.zeros(SIZE_WH[::-1], np.uint8))) == 0


def test_the_fallback_passes_masks_on(image: NDArray[np.uint8]) -> None:
    small = SuperPoint(model="small", resize="320", precision="fp32", max_keypoints=BUDGET)
    with MemoryFallbackExtractor(small, lambda: small) as extractor:
        found = extractor.submit([image] * 2, masks=[left_hidden(), None])()
    assert np.rint(found[0].keypoints.xy[:, 0]).min() >= 160
    assert found[1].keypoints.xy[:, 0].min() < 160


def test_both_decoders_mask_alike() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 65, 12, 16)).astype(np.float32)
    maps = rng.normal(size=(2, 12, 16, 8)).astype(np.float32)
    masks = (rng.random((2, 96, 128)) > 0.3).astype(np.uint8)
    settings = DecodeSettings(200, 4, 4, False, "exact")
    ours = decode_arrays(logits, maps, settings, masks=masks)
    theirs = decode(torch.from_numpy(logits), torch.from_numpy(maps), settings, torch.from_numpy(masks))
    for number in range(2):
        found = [
            {tuple(xy) for xy, score in zip(a[0][number], a[1][number], strict=True) if score > 0}
            for a in (ours, theirs.to_host())
        ]
        assert found[0] == found[1]
        assert not masked_out(masks[number], np.array(list(found[0]), np.float32)).any()


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros((10, 10), np.uint8), "size of its image"),
        (np.zeros(SIZE_WH[::-1], np.float32), "uint8 or bool, got float32"),
        ("black", "got a str"),
    ],
)
def test_other_masks_are_refused(
    superpoint: SuperPoint, image: NDArray[np.uint8], mask: object, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        superpoint(image, mask)  # type: ignore[arg-type]
