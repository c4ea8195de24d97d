"""What only a GPU shows: `pytest -m cuda`."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from realtime_kp import Frame, Keypoints, SuperPoint, track
from realtime_kp.config import SuperPointConfig
from realtime_kp.features import MemoryFallbackExtractor
from realtime_kp.features.cuda_graph import CudaGraphKeypoints
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.engines.interface import EngineChoice
from realtime_kp.features.engines.torch_engine import TorchEngine
from realtime_kp.features.models import find_model
from realtime_kp.sources import procedural_picture

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("ignore"),  # torch.compile warns of parts of itself
]

Image = NDArray[np.uint8]
SETTINGS = DecodeSettings(max_keypoints=500, nms_radius=4, border=4, subpixel=True, descriptor_grid="exact")


def pictures(count: int, size_wh: tuple[int, int] = (640, 480)) -> list[Image]:
    return [procedural_picture(size_wh, seed=seed) for seed in range(count)]


def overlap(found: Keypoints, expected: Keypoints, within_px: float = 1.0) -> tuple[float, float]:
    """Share of what is expected that was found so near, and the mean cosine of those descriptors."""
    gaps = np.linalg.norm(found.xy[None] - expected.xy[:, None], axis=2)
    nearest = gaps.argmin(axis=1)
    near = gaps.min(axis=1) <= within_px
    cosine = (found.descriptors[nearest[near]] * expected.descriptors[near]).sum(axis=1)
    return float(near.mean()), float(cosine.mean())


def assert_same(found: Keypoints, expected: Keypoints) -> None:
    share, cosine = overlap(found, expected, 0.1)
    assert abs(len(found) - len(expected)) <= 0.02 * len(expected)
    assert share >= 0.98
    assert cosine >= 0.999


@pytest.fixture(scope="module")
def exact() -> Iterator[list[Keypoints]]:
    """Full precision on the CPU."""
    with SuperPoint(engine="torch", precision="fp32", device="cpu", resize="640") as superpoint:
        yield [superpoint(image) for image in pictures(4)]


@pytest.mark.parametrize(("precision", "share"), [("fp32", 0.995), ("fp16", 0.97), ("bf16", 0.93)])
@pytest.mark.parametrize(("as_steps", "fused"), [(False, False), (True, False), (False, True)])
def test_each_precision_finds_what_a_cpu_finds(
    exact: list[Keypoints], precision: str, share: float, as_steps: bool, fused: bool
) -> None:
    with SuperPoint(device="cuda", precision=precision, resize="640", compile=fused) as superpoint:
        for image, expected in zip(pictures(4), exact, strict=True):
            if as_steps:
                outputs = superpoint.run(superpoint.prepare([image]))
                found = superpoint.decode(*outputs, source_wh=(640, 480))[0]
            else:
                found = superpoint(image)
            near, cosine = overlap(found, expected)
            assert near >= share
            assert cosine >= 0.99


@pytest.mark.parametrize("fused", [False, True])
def test_the_graph_is_used_and_not_given_up(caplog: pytest.LogCaptureFixture, fused: bool) -> None:
    config = SuperPointConfig(device="cuda", resize="640", compile=fused)
    with caplog.at_level("INFO", "realtime_kp"), SuperPoint(config) as superpoint:
        superpoint(pictures(1)[0])
    assert not [record for record in caplog.records if "launched separately" in record.getMessage()]
    assert not [record for record in caplog.records if "not fused" in record.getMessage()]


def test_batches_of_changing_size_and_frames_of_changing_size() -> None:
    with SuperPoint(device="cuda", resize="320", latency=False) as superpoint:
        alone: dict[tuple[int, int], list[Keypoints]] = {}
        for size_wh in [(320, 240), (320, 180), (240, 320)]:
            alone[size_wh] = [superpoint(image) for image in pictures(8, size_wh)]
        for count, size_wh in [
            (8, (320, 240)),
            (3, (320, 240)),
            (5, (320, 180)),
            (1, (240, 320)),
            (8, (320, 240)),
        ]:
            found = superpoint.extract_batch(pictures(8, size_wh)[:count])
            for mine, expected in zip(found, alone[size_wh][:count], strict=True):
                assert_same(mine, expected)


def test_results_in_flight_do_not_overwrite_each_other() -> None:
    images = pictures(12)
    with SuperPoint(device="cuda", resize="640", latency=False) as superpoint:
        alone = [superpoint(image) for image in images]
        assert superpoint.in_flight == 3
        for first in range(0, len(images), 3):
            waits = [superpoint.submit([image]) for image in images[first : first + 3]]
            for offset, wait in enumerate(waits):
                assert_same(wait()[0].keypoints, alone[first + offset])


def test_a_pinned_buffer_is_not_refilled_before_its_upload_is_done() -> None:
    """Many runs begun without waiting for one: each must see its own pixels."""
    network = find_model("small", None).network()
    engine = TorchEngine(network, EngineChoice("torch", "cuda:0", "fp16"))
    graphed = CudaGraphKeypoints(engine.network, SETTINGS, engine.device, in_flight=2)
    grey = [np.ascontiguousarray(image[None, :, :, 1]) for image in pictures(8)]
    alone = [tuple(part.copy() for part in graphed.submit(each)()) for each in grey]
    for _ in range(20):
        waits = []
        for i, each in enumerate(grey):
            waits.append((i, graphed.submit(each)))
            if len(waits) == 2:
                number, wait = waits.pop(0)
                np.testing.assert_allclose(wait()[1], alone[number][1], atol=2e-3)


def test_from_several_threads_at_once() -> None:
    images = pictures(4)

    def detect(image: Image) -> Keypoints:
        with SuperPoint(model="small", device="cuda", resize="640") as superpoint:
            return [superpoint(image) for _ in range(5)][-1]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(detect, images))
    for image, mine in zip(images, found, strict=True):
        assert_same(mine, detect(image))


def test_a_batch_without_room_is_halved_and_one_frame_without_room_goes_to_the_cpu() -> None:
    code = """
        import logging, sys, torch
        logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
        from realtime_kp.config import SuperPointConfig
        from realtime_kp.features import MemoryFallbackExtractor, SuperPoint
        from realtime_kp.sources import procedural_picture
        total = torch.cuda.get_device_properties(0).total_memory
        on_cpu = SuperPointConfig(model="small", device="cpu", resize="640")
        config = SuperPointConfig(model="small", device="cuda", resize="640")
        images = [procedural_picture((640, 480), seed=seed) for seed in range(16)]
        for room_mb in (900, 10):
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(room_mb * 2**20 / total)
            with MemoryFallbackExtractor(SuperPoint(config), lambda: SuperPoint(on_cpu)) as extractor:
                found = extractor.submit(images * 8)()
                again = extractor.submit(images[:1])()
                print(room_mb, len(found), extractor.info.device, len(again[0].keypoints), flush=True)
    """
    lines = run_python(code).splitlines()
    assert any("out of memory with 128 frames at once" in line for line in lines), lines
    results = [line.split() for line in lines if line and line[0].isdigit()]
    assert results[0][:3] == ["900", "128", "cuda:0"]
    assert results[1][:3] == ["10", "128", "cpu"]
    assert int(results[0][3]) > 100
    assert int(results[1][3]) > 100


def test_a_failing_device_is_one_clear_line() -> None:
    code = """
        import torch
        from realtime_kp.config import SuperPointConfig
        from realtime_kp.errors import ModelError
        from realtime_kp.features import MemoryFallbackExtractor, SuperPoint
        from realtime_kp.sources import procedural_picture
        config = SuperPointConfig(model="small", device="cuda", resize="320")
        image = procedural_picture((320, 240), seed=1)
        try:
            with MemoryFallbackExtractor(SuperPoint(config), lambda: SuperPoint(config)) as extractor:
                extractor.submit([image])()
                torch.zeros(1, device="cuda")[torch.tensor([7], device="cuda")]
                extractor.submit([image])()
        except ModelError as exc:
            print("told:", exc)
    """
    told = [line for line in run_python(code).splitlines() if line.startswith("told:")]
    assert len(told) == 1
    assert "--device cpu" in told[0]


def test_two_processes_share_a_card() -> None:
    code = """
        from realtime_kp import SuperPoint
        from realtime_kp.sources import procedural_picture
        image = procedural_picture((640, 480), seed=1)
        with SuperPoint(model="small", device="cuda", resize="640") as superpoint:
            print({len(superpoint(image)) for _ in range(200)})
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        told = [process.communicate(timeout=100)[0].strip() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert told[0] == told[1]
    assert [process.returncode for process in processes] == [0, 0]


def test_tracks_through_a_clip_as_on_a_cpu() -> None:
    on_gpu = list(track("demo", max_frames=20, device="cuda"))
    on_cpu = list(track("demo", max_frames=20, device="cpu"))
    assert [r.frame.index for r in on_gpu] == list(range(20))
    assert len(on_gpu[-1].tracks.confirmed) >= 0.9 * len(on_cpu[-1].tracks.confirmed)


def test_a_graph_of_another_frame_size_while_a_camera_changes_its_own() -> None:
    with SuperPoint(device="cuda", resize="320") as superpoint:
        for size_wh in [(640, 480), (480, 640), (1280, 720), (640, 480)]:
            superpoint.warm_up(size_wh)
            frame = Frame(0, 0.0, 0.0, pictures(1, size_wh)[0])
            assert len(superpoint(frame.image_bgr)) > 50


def test_the_fallback_extractor_reports_the_device() -> None:
    config = SuperPointConfig(model="small", device="cuda", resize="320")
    with MemoryFallbackExtractor(SuperPoint(config), lambda: SuperPoint(config)) as extractor:
        assert extractor.info.device == "cuda:0"
        assert extractor.info.precision == "fp16"


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
