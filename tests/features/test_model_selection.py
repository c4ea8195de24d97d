from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from realtime_kp.config import SuperPointConfig
from realtime_kp.features import ModelSelectingExtractor
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
    with ModelSelectingExtractor(SuperPointConfig(resize="128x96"), *models) as superpoint:
        superpoint.warm_up(SIZE_WH, interval_s=5.0)
        assert superpoint.info.model == "large"
        assert superpoint.info.descriptor_dim == 64


def test_a_model_that_is_too_slow_is_replaced_and_that_is_said(
    models: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("realtime_kp").propagate = True
    with (
        caplog.at_level(logging.INFO, "realtime_kp"),
        ModelSelectingExtractor(SuperPointConfig(resize="128x96"), *models) as superpoint,
    ):
        superpoint.warm_up(SIZE_WH, interval_s=1e-6)
        assert superpoint.info.model == "tiny"
        found = superpoint.submit([procedural_picture(SIZE_WH, 0)], 0.0)()[0]
        assert found.keypoints.descriptors.shape[1] == 32
    assert "takes" in caplog.text


def test_a_source_of_unknown_rate_and_size_gets_what_keeps_up_with_an_ordinary_one(
    models: tuple[str, str],
) -> None:
    with ModelSelectingExtractor(SuperPointConfig(resize="128x96"), *models) as superpoint:
        superpoint.submit([procedural_picture(SIZE_WH, 0)], 0.0)()
        assert superpoint.info.model == "large"


@pytest.mark.slow
@pytest.mark.parametrize("resize", ["auto", "640"])
def test_the_input_is_as_large_as_eight_detections_a_second_allow(
    models: tuple[str, str], tmp_path: Path, resize: str
) -> None:
    torch.manual_seed(0)
    slow = tmp_path / "slow"
    export(TrainableSuperPoint(Shape((192,) * 4, 64, 64)).eval(), slow)
    config = SuperPointConfig(resize=resize, precision="fp32")
    with ModelSelectingExtractor(config, str(slow), str(slow)) as superpoint:
        superpoint.warm_up((1280, 960), interval_s=1e-6)
        chosen = superpoint.network_size((1280, 960))
    # Such a network takes more than an eighth of a second for 640x480 anywhere; what is named is obeyed.
    assert chosen == (640, 480) if resize == "640" else chosen in ((480, 360), (320, 240))
