"""Equalised brightness: frames in which dark and bright parts have the same contrast."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from realtime_kp.frame import Frame

_CLIP_LIMIT = 3.0
_TILES = (8, 8)


class Equaliser:
    """Gives frames an equalised picture for the network and the tracker, by CLAHE.

    Contrast limited adaptive histogram equalisation (Zuiderveld, in Graphics Gems IV, 1994) of the grey
    picture, in 8 by 8 parts, with a clip limit of 3. What is drawn and written stays as it is.
    """

    def __init__(self) -> None:
        self._clahe = cv2.createCLAHE(_CLIP_LIMIT, _TILES)

    def on(self, frame: Frame) -> Frame:
        """The frame with its equalised picture."""
        grey = self._clahe.apply(cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2GRAY))
        return replace(frame, equalised_bgr=np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8))
