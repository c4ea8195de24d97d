from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError
from realtime_kp.features import MemoryFallbackExtractor, SuperPoint
from realtime_kp.features.engines.torch_engine import TorchEngine
from realtime_kp.features.extractor import Extraction, ModelInfo, Results
from tests.conftest import StubExtractor

Image = NDArray[np.uint8]


class Block:
    """Memory that somebody holds."""


class SmallDevice(StubExtractor):
    """A device that holds so many frames at once; it fails when asked, or when waited for."""

    def __init__(self, room: int, *, late: bool = False) -> None:
        super().__init__()
        self.room = room
        self.late = late
        self.held: weakref.ref[Block] | None = None
        self.exits = 0

    def __exit__(self, *error: object) -> None:
        self.exits += 1

    def submit(self, images_bgr: Sequence[Image], keypoint_threshold: float | None = None) -> Results:
        found = super().submit(images_bgr, keypoint_threshold)

        def run() -> list[Extraction]:
            block = Block()
            self.held = weakref.ref(block)
            if len(images_bgr) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return found()

        if self.late:
            return run
        result = run()
        return lambda: result


def images(count: int) -> list[Image]:
    return [np.zeros((48, 64, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("late", [False, True])
def test_a_batch_that_does_not_fit_is_halved_once_for_all(
    late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    device = SmallDevice(3, late=late)
    with MemoryFallbackExtractor(device, StubExtractor) as sparing:
        assert len(sparing.submit(images(8))()) == 8
        first = list(device.batches)
        assert len(sparing.submit(images(8))()) == 8
    assert first[0] == 8
    assert max(device.batches[len(first) :]) == 2
    assert [record.message for record in caplog.records] == [
        "cpu is out of memory with 8 frames at once: using smaller batches"
    ]


@pytest.mark.parametrize("late", [False, True])
def test_what_does_not_fit_alone_goes_to_the_cpu_for_good(
    late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    device, cpu = SmallDevice(0, late=late), StubExtractor()

    def make() -> StubExtractor:
        assert sys.exc_info() == (None, None, None)
        assert device.held is not None
        assert device.held() is None, "the failure still holds its memory"
        return cpu

    with MemoryFallbackExtractor(device, make) as sparing:
        waiting = [sparing.submit(images(2)), sparing.submit(images(2))]
        assert [len(results()) for results in waiting] == [2, 2]
        assert len(sparing.submit(images(1))()) == 1
    assert sum(cpu.batches) == 5
    assert device.exits == 1
    messages = [record.message for record in caplog.records]
    assert messages.count("the device is out of memory for one frame: falling back to the CPU") == 1
    assert len(messages) == 2


def test_a_model_that_does_not_fit_goes_to_the_cpu() -> None:
    class Full(SmallDevice):
        def __enter__(self) -> Full:
            raise torch.OutOfMemoryError("CUDA out of memory")

    cpu = StubExtractor()
    with MemoryFallbackExtractor(Full(0), lambda: cpu) as sparing:
        assert len(sparing.submit(images(1))()) == 1
    assert cpu.batches == [1]


def test_when_the_cpu_fails_too_it_is_said() -> None:
    sparing = MemoryFallbackExtractor(SmallDevice(0), lambda: SmallDevice(0))
    with pytest.raises(ModelError, match="nor on the CPU"), sparing:
        sparing.submit(images(1))()


def test_other_errors_pass_through() -> None:
    sparing = MemoryFallbackExtractor(StubExtractor(fail_at=0), StubExtractor)
    with pytest.raises(RuntimeError, match="as ordered"), sparing:
        sparing.submit(images(1))()


def test_a_model_that_does_not_fit_while_loading_goes_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: TorchEngine, network: object, choice: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TorchEngine, "__init__", full)
    first = SuperPoint(SuperPointConfig(model="small", device="cpu", engine="torch"))
    with MemoryFallbackExtractor(first, StubExtractor) as sparing:
        assert sparing.info.engine == "stub"
    assert "falling back to the CPU" in caplog.text


def test_what_runs_is_told_while_the_second_one_loads() -> None:
    told = []

    class Slow(StubExtractor):
        @property
        def info(self) -> ModelInfo:
            raise RuntimeError("not loaded")

        def __enter__(self) -> Self:
            told.append(sparing.info.engine)
            return self

    with MemoryFallbackExtractor(SmallDevice(0), Slow) as sparing:
        sparing.submit(images(1))()
    assert told == ["stub"]
