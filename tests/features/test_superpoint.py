from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from realtime_kp import ConfigError, Keypoints, ModelError, SuperPoint
from realtime_kp.config import SuperPointConfig
from realtime_kp.features import transformers_weights
from realtime_kp.features.engines.openvino_engine import cpu_precisions, openvino_problem
from realtime_kp.features.transformers_weights import load_weights
from realtime_kp.features.weights_store import bundled_models
from realtime_kp.sources import DemoSpec, open_source, procedural_picture
from tests.conftest import DATA, in_shared

BUNDLED = bundled_models()["superpoint-open"]
PICTURE = procedural_picture((320, 240), seed=3)


@pytest.fixture(scope="module")
def exact() -> Iterator[SuperPoint]:
    """Full precision in torch: what the others are held against."""
    with SuperPoint(engine="torch", precision="fp32", device="cpu", resize="320") as superpoint:
        yield superpoint


def nearest(a: Keypoints, b: Keypoints) -> tuple[np.ndarray, np.ndarray]:
    gaps = np.linalg.norm(a.xy[:, None] - b.xy[None], axis=2)
    return gaps.min(axis=1), gaps.argmin(axis=1)


def transformers_keypoints(folder: str, grey: np.ndarray) -> Keypoints:
    """What transformers' own forward finds in these grey pixels, in fp32."""
    model = load_weights(folder).model
    pixels = torch.from_numpy(grey).float()[None, None].repeat(1, 3, 1, 1) / 255
    model.keypoint_decoder.max_keypoints = -1
    with torch.inference_mode():
        found = model(pixels)
    valid = found.mask[0].bool()
    size = torch.tensor([grey.shape[1], grey.shape[0]])
    return Keypoints(
        (found.keypoints[0][valid] * size).numpy().astype(np.float32),
        found.scores[0][valid].numpy(),
        found.descriptors[0][valid].numpy(),
    )


def assert_parity(folder: str, image: np.ndarray) -> None:
    height, width = image.shape[:2]
    theirs = transformers_keypoints(folder, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    with SuperPoint(
        model=folder,
        engine="torch",
        precision="fp32",
        device="cpu",
        resize=f"{width}x{height}",
        subpixel=False,
        descriptor_grid="transformers",
        max_keypoints=10_000,
    ) as superpoint:
        ours = superpoint(image)
    inside = ((theirs.xy >= 8) & (theirs.xy < np.array([width - 8, height - 8]))).all(axis=1)
    assert inside.sum() > 100
    gap, index = nearest(theirs, ours)
    found = inside & (gap < 1e-3)
    assert found.sum() >= 0.995 * inside.sum()
    cosine = (theirs.descriptors[found] * ours.descriptors[index[found]]).sum(axis=1)
    assert cosine.min() >= 0.999
    np.testing.assert_allclose(ours.scores[index[found]], theirs.scores[found], atol=1e-4)
    ours_inside = ((ours.xy >= 8) & (ours.xy < np.array([width - 8, height - 8]))).all(axis=1)
    assert (nearest(ours, theirs)[0][ours_inside] < 1e-3).mean() >= 0.995


def test_parity_with_transformers_own_output() -> None:
    assert_parity(str(BUNDLED), procedural_picture((320, 240), seed=1))


@pytest.mark.slow
def test_parity_with_other_weights_on_a_photograph_like_frame() -> None:
    folder = in_shared("reference/superpoint_v1_8bit")
    assert_parity(str(folder), DemoSpec().scene().render(7))


def test_keypoints_are_sorted_bounded_and_unit_length(exact: SuperPoint) -> None:
    found = exact(PICTURE)
    assert 100 < len(found) <= 1024
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() > exact.config.keypoint_threshold
    assert (found.xy >= 0).all()
    assert (found.xy < [320, 240]).all()
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-4)


def test_a_batch_gives_what_its_images_give_alone(exact: SuperPoint) -> None:
    other = PICTURE[:, ::-1].copy()
    for alone, together in zip(
        (exact(PICTURE), exact(other)), exact.extract_batch([PICTURE, other]), strict=True
    ):
        # Sums are taken in another order in a batch: compare sets, not sequences.
        assert (nearest(alone, together)[0] < 0.01).mean() > 0.99


@pytest.mark.skipif(openvino_problem() is not None, reason="OpenVINO is not installed")
def test_several_at_once_give_what_each_gives_alone() -> None:
    images = [procedural_picture((320, 240), seed) for seed in range(5)]
    settings = SuperPointConfig(
        model="small", resize="320", device="cpu", engine="openvino", precision="fp32"
    )
    with SuperPoint(settings) as alone, SuperPoint(settings, latency=False) as together:
        assert alone.in_flight == 1
        assert together.in_flight > 1 or os.cpu_count() == 1
        expected = [alone(image) for image in images]
        begun = [together.submit([image]) for image in images[: together.in_flight]]
        found = []
        for image in images[together.in_flight :]:
            found += begun.pop(0)()
            begun.append(together.submit([image]))
        for results in begun:
            found += results()
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other.keypoints.xy, one.xy, atol=1e-3)
        np.testing.assert_allclose(other.keypoints.descriptors, one.descriptors, atol=1e-4)


def test_the_threshold_can_be_changed_for_a_frame(exact: SuperPoint) -> None:
    strict = exact.extract(PICTURE, keypoint_threshold=0.1).keypoints
    everything = exact(PICTURE)
    assert 0 < len(strict) < len(everything)
    assert strict.scores.min() > 0.1


def test_a_black_picture_has_no_keypoints_and_does_no_harm(exact: SuperPoint) -> None:
    found = exact(np.zeros((240, 320, 3), np.uint8))
    assert found.descriptors.shape == (len(found), 256)
    assert np.isfinite(found.xy).all()


def test_keypoints_are_in_pixels_of_the_source_whatever_the_network_sees(exact: SuperPoint) -> None:
    large = cv2.resize(PICTURE, (640, 480), interpolation=cv2.INTER_CUBIC)
    gap, _ = nearest(exact(PICTURE).top(100), _halved(exact(large)))
    assert np.median(gap) < 0.3


def _halved(found: Keypoints) -> Keypoints:
    return Keypoints(((found.xy + 0.5) / 2 - 0.5).astype(np.float32), found.scores, found.descriptors)


def test_subpixel_moves_keypoints_by_less_than_the_window() -> None:
    settings: dict[str, Any] = {"engine": "torch", "precision": "fp32", "device": "cpu", "resize": "320"}
    with SuperPoint(**settings) as refined, SuperPoint(**settings, subpixel=False) as whole:
        gap = np.linalg.norm(refined(PICTURE).xy - whole(PICTURE).xy, axis=1)
        assert np.allclose(whole(PICTURE).xy % 1, 0)
    assert 0.05 < np.median(gap) < 1
    assert gap.max() < 3


@pytest.mark.slow
@pytest.mark.skipif(openvino_problem() is not None, reason="OpenVINO does not run on this processor")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_openvino_agrees_with_torch_on_real_frames(precision: str) -> None:
    if precision not in cpu_precisions():
        pytest.skip("this processor has no native bf16")
    with open_source(DATA / "box.mp4") as clip:
        frames = [frame.image_bgr for frame in clip][::30]
    with SuperPoint(engine="torch", precision="fp32", device="cpu") as full:
        references = [full(image) for image in frames]
    with SuperPoint(engine="openvino", precision=precision, device="cpu") as superpoint:
        others = [superpoint(image) for image in frames]
    for reference, other in zip(references, others, strict=True):
        gap, index = nearest(reference, other)
        near = gap <= 1
        assert near.mean() >= 0.97
        assert (reference.descriptors[near] * other.descriptors[index[near]]).sum(axis=1).mean() >= 0.99


def test_several_sizes_in_turn(exact: SuperPoint) -> None:
    with SuperPoint(resize="160", device="cpu") as superpoint:
        for size in ((320, 240), (240, 320), (330, 200), (320, 240), (64, 64), (200, 100)):
            found = superpoint(cv2.resize(PICTURE, size))
            assert (found.xy < size).all()


def test_it_must_be_entered_first() -> None:
    with pytest.raises(RuntimeError, match="with SuperPoint"):
        SuperPoint()(PICTURE)


def test_images_that_are_none_are_refused(exact: SuperPoint) -> None:
    with pytest.raises(ValueError, match="uint8"):
        exact(PICTURE.astype(np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one size"):
        exact.extract_batch([PICTURE, PICTURE[:-8]])


def test_unknown_keywords_are_refused() -> None:
    with pytest.raises(ConfigError, match="modell"):
        SuperPoint(modell="base")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "nothing-of-the-kind"}, "bundled .*superpoint-open"),
        ({"precision": "fp16", "device": "cpu"}, "GPU"),
        ({"device": "cuda:7"}, "cuda:7"),
        ({"revision": "main"}, "hub id"),
    ],
)
def test_what_cannot_be_had_is_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message), SuperPoint(**settings):
        pass


def test_a_hub_model_out_of_reach_is_said_with_its_licence(caplog: pytest.LogCaptureFixture) -> None:
    transformers_weights._warn_once.cache_clear()  # said once a process, perhaps by another test
    with (
        pytest.raises(ModelError, match="out of reach and nothing is cached"),
        SuperPoint(model="magic-leap-community/superpoint"),
    ):
        pass
    assert "no commercial use" in caplog.text


def test_a_local_folder_gives_the_same_as_the_bundled_one(tmp_path: Path, exact: SuperPoint) -> None:
    shutil.copytree(BUNDLED, tmp_path / "mine")
    with SuperPoint(
        model=str(tmp_path / "mine"), engine="torch", precision="fp32", device="cpu", resize="320"
    ) as superpoint:
        assert superpoint.info.model == "mine"
        assert np.array_equal(superpoint(PICTURE).xy, exact(PICTURE).xy)


def test_folders_that_are_no_model_are_refused(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(ModelError, match=message), SuperPoint(model=str(tmp_path)):
            pass

    refused("no config.json")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refused("not superpoint")
    (tmp_path / "config.json").write_text((BUNDLED / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    refused("pickled weights are not loaded")
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    refused("cannot load")


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(BUNDLED / "model.safetensors")
    tensors.pop(next(name for name in tensors if "conv_score_b.weight" in name))
    save_file(tensors, tmp_path / "model.safetensors")
    shutil.copy(BUNDLED / "config.json", tmp_path)
    with pytest.raises(ModelError, match="conv_score_b"), SuperPoint(model=str(tmp_path)):
        pass
