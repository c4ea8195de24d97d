from __future__ import annotations

import logging
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from realtime_kp.config import SuperPointConfig
from realtime_kp.features import ModelSelectingExtractor, SuperPoint
from realtime_kp.features.weights_store import BUNDLED, INT8_FILE, bundled_models
from realtime_kp.sources import procedural_picture
from realtime_kp.training.architecture import Shape, TrainableSuperPoint
from realtime_kp.training.export import export

SIZE_WH = (128, 96)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder: Path = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, width in (("large", 16), ("tiny", 8)):
        export(TrainableSuperPoint(Shape((width,) * 4, width, 4 * width)).eval(), folder / name)
    return str(folder / "large"), str(folder / "tiny")


def test_a_model_that_keeps_up_stays(models: tuple[str, str]) -> None:
    with ModelSelectingExtractor(SuperPointConfig(resize="128x96"), models) as superpoint:
        superpoint.warm_up(SIZE_WH, interval_s=5.0)
        assert superpoint.info.model == "large"
        assert superpoint.info.descriptor_dim == 64


def test_a_model_that_is_too_slow_is_replaced_and_that_is_said(
    models: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("realtime_kp").propagate = True
    with (
        caplog.at_level(logging.INFO, "realtime_kp"),
        ModelSelectingExtractor(SuperPointConfig(resize="128x96"), models) as superpoint,
    ):
        superpoint.warm_up(SIZE_WH, interval_s=1e-6)
        assert superpoint.info.model == "tiny"
        found = superpoint.submit([procedural_picture(SIZE_WH, 0)], 0.0)()[0]
        assert found.keypoints.descriptors.shape[1] == 32
    assert re.search(r"the network is .*tiny 128x96: .*large 128x96 takes \d+ ms a frame here", caplog.text)


def test_a_source_of_unknown_rate_and_size_gets_what_keeps_up_with_an_ordinary_one(
    models: tuple[str, str],
) -> None:
    with ModelSelectingExtractor(SuperPointConfig(resize="128x96"), models) as superpoint:
        superpoint.submit([procedural_picture(SIZE_WH, 0)], 0.0)()
        assert superpoint.info.model == "large"


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that takes more than an eighth of a second for 640x480 anywhere."""
    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("heavy") / "heavy"
    export(TrainableSuperPoint(Shape((192,) * 4, 64, 64)).eval(), folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("resize", ["auto", "640"])
def test_the_input_is_as_large_as_eight_detections_a_second_allow(
    heavy: str, resize: str, models: int
) -> None:
    config = SuperPointConfig(resize=resize, precision="fp32")
    with ModelSelectingExtractor(config, (heavy,) * models) as superpoint:
        superpoint.warm_up((1280, 960), interval_s=1e-6)
        chosen = superpoint.network_size((1280, 960))
    # What is named is obeyed.
    assert chosen == (640, 480) if resize == "640" else chosen in ((480, 360), (320, 240))


@pytest.mark.slow
def test_another_model_takes_over_where_detections_become_rare(
    models: tuple[str, str], heavy: str, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("realtime_kp").propagate = True
    image = procedural_picture((640, 480), 0)
    small_wh = (640, 48)
    config = SuperPointConfig(resize="640", precision="fp32")
    with SuperPoint(replace(config, model=heavy)) as alone:
        alone.warm_up(small_wh)
        alone_s = min(
            alone.extract(np.zeros((*small_wh[::-1], 3), np.uint8)).network_ms / 1e3 for _ in range(3)
        )
    with (
        caplog.at_level(logging.INFO, "realtime_kp"),
        ModelSelectingExtractor(config, (heavy, models[1])) as superpoint,
    ):
        superpoint.warm_up(small_wh, interval_s=5 * alone_s)
        assert superpoint.info.model == "heavy"
        # Ten times as many pixels.
        ends_s = time.perf_counter() + 60
        while superpoint.info.model == "heavy" and time.perf_counter() < ends_s:
            superpoint.submit([image])()
        assert superpoint.info.model == "tiny"
        assert superpoint.submit([image])()[0].keypoints.descriptors.shape[1] == 32
    assert caplog.text.count("the network is now") == 1


@pytest.mark.slow
def test_a_change_of_size_alone_does_not_load_the_model_again(heavy: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(heavy, copy)
    config = SuperPointConfig(precision="fp32")
    with ModelSelectingExtractor(config, (str(copy),)) as superpoint:
        shutil.rmtree(copy)
        superpoint.warm_up((1280, 960), interval_s=1e-6)
        assert superpoint.network_size((1280, 960)) in ((480, 360), (320, 240))
        found = superpoint.submit([procedural_picture((1280, 960), 0)], 0.0)()[0].keypoints
    assert len(found) > 0
    assert found.xy.max(axis=0) == pytest.approx((1280, 960), rel=0.1)


def pretend_8_bits_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that multiplies bytes and has no bf16."""
    monkeypatch.setattr("realtime_kp.features.engines.selection.cpu_precisions", lambda: ("fp32",))
    monkeypatch.setattr("realtime_kp.features.engines.selection.multiplies_bytes", lambda: True)


@pytest.mark.slow
def test_8_bits_of_a_larger_model_that_cannot_be_read_are_left_out_and_that_is_said(
    heavy: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("realtime_kp").propagate = True
    pretend_8_bits_pay(monkeypatch)
    monkeypatch.setattr("realtime_kp.features.model_selection._WORTH_8_BITS", 0.0)
    last = str(bundled_models()[BUNDLED["nano"]])
    with ModelSelectingExtractor(SuperPointConfig(), (heavy, heavy, last)) as superpoint:
        superpoint.warm_up((640, 480), interval_s=1e-6)
        assert superpoint.info.model in ("heavy", "superpoint-open-nano")
    assert "heavy 640 in int8 is not tried: these weights come without an int8 version" in caplog.text


@pytest.mark.slow
def test_8_bits_that_cannot_be_read_are_not_tried_and_that_is_said(
    heavy: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("realtime_kp").propagate = True
    pretend_8_bits_pay(monkeypatch)
    copy = tmp_path / "heavy"
    shutil.copytree(heavy, copy)
    for ending in ("xml", "bin"):
        (copy / INT8_FILE).with_suffix(f".{ending}").write_bytes(b"no network")
    with ModelSelectingExtractor(SuperPointConfig(), (str(copy),)) as superpoint:
        superpoint.warm_up((640, 480), interval_s=1e-6)
        assert superpoint.info.precision == "fp32"
    assert "8 bits are not tried: cannot load" in caplog.text
