from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtime_kp.errors import ArgumentError
from realtime_kp.frame import Frame
from realtime_kp.sources import Equaliser, Scene, procedural_picture

SCENE = Scene(procedural_picture((460, 350), 3), (320, 240))


def dark(index: int = 0) -> Frame:
    return Frame(index, index / 30, 0.0, (SCENE.render(index) * 0.15).astype(np.uint8))


def test_dark_pictures_gain_contrast_and_the_drawn_one_stays() -> None:
    plain = dark()
    frame = Equaliser().on(plain)
    assert frame.image_bgr is plain.image_bgr
    assert frame.analysed_bgr is frame.equalised_bgr
    assert frame.analysed_bgr.std() > 2 * plain.image_bgr.std()
    assert frame.analysed_bgr.shape == plain.image_bgr.shape
    assert plain.analysed_bgr is plain.image_bgr


def test_it_is_grey() -> None:
    equalised = Equaliser().on(dark()).equalised_bgr
    assert equalised is not None
    assert (np.ptp(equalised, axis=2) == 0).all()


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ArgumentError, match="must have the size of the frame"):
        replace(dark(), equalised_bgr=np.zeros((10, 10, 3), np.uint8))
