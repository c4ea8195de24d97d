from __future__ import annotations

import shutil
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from realtime_kp import SuperPoint
from realtime_kp.features.cuda_graph import CudaGraphKeypoints
from realtime_kp.features.decode.settings import DecodeSettings, HostArrays
from realtime_kp.features.decode.torch_decoder import decode
from realtime_kp.features.detection import StepwiseDetector, make_detector
from realtime_kp.features.engines.interface import EngineChoice
from realtime_kp.features.engines.torch_engine import TorchEngine
from realtime_kp.features.luma import grey_of
from realtime_kp.features.models import find_model
from realtime_kp.sources import procedural_picture

SETTINGS = DecodeSettings(max_keypoints=100, nms_radius=4, border=4, subpixel=True, descriptor_grid="exact")


def picture(seed: int, size_wh: tuple[int, int] = (160, 120)) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(procedural_picture(size_wh, seed=seed), cv2.COLOR_BGR2GRAY)
    return np.asarray(grey[None], np.uint8)


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    network = find_model("small", None).network()
    return TorchEngine(network, EngineChoice("torch", "cpu", "fp32"))


def one_by_one(engine: TorchEngine, grey: NDArray[np.uint8]) -> HostArrays:
    return decode(*engine.submit(grey)(), SETTINGS).to_host()


def assert_same_keypoints(got: HostArrays, expected: HostArrays, within: float = 1e-4) -> None:
    count = expected[0].shape[1]
    assert got[0].shape == (expected[0].shape[0], 100, 2)
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine[:, :count], theirs, atol=within)
    assert not got[1][:, count:].any()


def test_the_same_keypoints_as_step_by_step(engine: TorchEngine) -> None:
    graphed = CudaGraphKeypoints(engine.network, SETTINGS, engine.device)
    grey = np.concatenate([picture(1), picture(2)])
    expected = one_by_one(engine, grey)
    assert expected[0].shape[1] > 30
    assert_same_keypoints(graphed.submit(grey)(), expected)


def test_results_of_runs_in_flight_stay_apart(engine: TorchEngine) -> None:
    graphed = CudaGraphKeypoints(engine.network, SETTINGS, engine.device, in_flight=3)
    assert graphed.in_flight == 3
    pictures = [picture(seed) for seed in range(3)]
    waits = [graphed.submit(grey) for grey in pictures]
    results = [wait() for wait in reversed(waits)][::-1]
    for grey, found in zip(pictures, results, strict=True):
        assert_same_keypoints(found, one_by_one(engine, grey))


def test_more_shapes_than_are_kept(engine: TorchEngine) -> None:
    graphed = CudaGraphKeypoints(engine.network, SETTINGS, engine.device)
    sizes = [(96 + 16 * i, 96) for i in range(6)]
    for size_wh in [*sizes, *sizes[:2]]:
        grey = picture(7, size_wh)
        assert_same_keypoints(graphed.submit(grey)(), one_by_one(engine, grey))


def test_a_buffer_is_used_again_with_what_is_new(engine: TorchEngine) -> None:
    graphed = CudaGraphKeypoints(engine.network, SETTINGS, engine.device)
    for seed in (4, 5, 4):
        assert_same_keypoints(graphed.submit(picture(seed))(), one_by_one(engine, picture(seed)))


def test_a_smaller_batch_takes_the_room_of_a_larger_one(engine: TorchEngine) -> None:
    seen = []

    def network(grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(len(grey))
        return engine.network(grey)

    graphed = CudaGraphKeypoints(network, SETTINGS, engine.device)
    graphed.submit(picture(0))()
    graphed.submit(np.concatenate([picture(1), picture(2), picture(3)]))()
    rest = np.concatenate([picture(4), picture(5)])
    assert_same_keypoints(graphed.submit(rest)(), one_by_one(engine, rest))
    assert_same_keypoints(graphed.submit(picture(6))(), one_by_one(engine, picture(6)))
    assert set(seen) == {1, 3}


def test_a_cpu_goes_step_by_step(engine: TorchEngine) -> None:
    assert isinstance(make_detector(engine, SETTINGS), StepwiseDetector)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("latency", [True, False])
def test_on_a_gpu_the_graph_finds_what_the_steps_find(latency: bool) -> None:
    image = procedural_picture((320, 240), seed=3)
    with SuperPoint(device="cuda", resize="320", latency=latency) as superpoint:
        outputs = superpoint.run(superpoint.prepare([image]))
        expected = superpoint.decode(*outputs, source_wh=(320, 240))[0]
        waits = [superpoint.submit([image]) for _ in range(superpoint.in_flight)]
        found = [wait()[0].keypoints for wait in waits]
    for keypoints in found:
        assert abs(len(keypoints) - len(expected)) <= 0.02 * len(expected)
        gaps = np.linalg.norm(keypoints.xy[:, None] - expected.xy[None], axis=2).min(axis=1)
        assert np.quantile(gaps, 0.98) < 0.05


def test_pictures_in_colour_are_turned_grey_on_the_device(engine: TorchEngine) -> None:
    graphed = CudaGraphKeypoints(engine.network, SETTINGS, engine.device)
    image = procedural_picture((160, 120), seed=2)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    assert_same_keypoints(graphed.submit([image])(), one_by_one(engine, np.asarray(grey[None], np.uint8)))


def test_grey_on_the_device_equals_opencvs_bit_by_bit() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 301, 307, 3), np.uint8)
    expected = np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in levels])
    np.testing.assert_array_equal(grey_of(torch.from_numpy(levels)).numpy(), expected)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of parts of itself
def test_fused_finds_the_same(engine: TorchEngine) -> None:
    fused = CudaGraphKeypoints(engine.network, SETTINGS, engine.device, fused=True)
    grey = np.concatenate([picture(1), picture(2)])
    assert_same_keypoints(fused.submit(grey)(), one_by_one(engine, grey), within=1e-3)


def test_without_a_compiler_the_steps_run_unfused(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compile_nothing(*_: object, **__: object) -> Callable[[torch.Tensor], torch.Tensor]:
        def fail(_: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no compiler found")

        return fail

    monkeypatch.setattr(torch, "compile", compile_nothing)
    fused = CudaGraphKeypoints(engine.network, SETTINGS, engine.device, fused=True)
    for seed in (1, 2):
        assert_same_keypoints(fused.submit(picture(seed))(), one_by_one(engine, picture(seed)))
    assert [r.getMessage() for r in caplog.records].count(
        "torch.compile failed, kernels are not fused: no compiler found"
    ) == 1
