"""A decoded video frame as an upright BGR image."""

from __future__ import annotations

import logging

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from realtime_kp.sources.orientation import Orientation
from realtime_kp.sources.tone_mapping import HLG, PQ, WIDE, ToneMapper

log = logging.getLogger(__name__)

_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_HD_LINES = 720


class FrameConverter:
    """Converts the decoded frames of one video.

    Args:
        name: Of the video, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._scaler = VideoReformatter()  # FFmpeg sets it up once
        self._wide_scaler = VideoReformatter()
        self._mapper: ToneMapper | None = None
        self._told = False

    def upright_bgr(self, picture: av.VideoFrame) -> NDArray[np.uint8]:
        """Convert a decoded frame to BGR, blend transparency onto black, turn and mirror it upright.

        Returns:
            `(H, W, 3) uint8`.
        """
        image = self._bgr(picture)
        orientation = Orientation.of(picture)
        if orientation.odd_degrees is not None and not self._told:
            degrees = orientation.odd_degrees
            log.warning("%s is to be turned by %.0f degrees: left as it is", self._name, degrees)
            self._told = True
        return np.ascontiguousarray(orientation.upright(image), dtype=np.uint8)

    def _bgr(self, picture: av.VideoFrame) -> NDArray[np.uint8]:
        if picture.color_trc in (PQ, HLG):
            picture = self._standard(picture)
        colorspace = picture.colorspace
        if colorspace == _UNSPECIFIED:
            # Where a file does not name its colour matrix, players assume BT.709 for HD, BT.601 below.
            colorspace = Colorspace.ITU709 if picture.height >= _HD_LINES else Colorspace.ITU601
        if any(component.is_alpha for component in picture.format.components):
            with_alpha = self._scaler.reformat(picture, format="bgra", src_colorspace=colorspace)
            return _on_black(np.asarray(with_alpha.to_ndarray(), np.uint8))
        converted = self._scaler.reformat(picture, format="bgr24", src_colorspace=colorspace)
        return np.asarray(converted.to_ndarray(), np.uint8)

    def _standard(self, picture: av.VideoFrame) -> av.VideoFrame:
        if self._mapper is None or self._mapper.transfer != picture.color_trc:
            self._mapper = ToneMapper(picture.color_trc)
            log.info("%s has a high dynamic range: mapped to BT.709", self._name)
        wide = self._wide_scaler.reformat(picture, format=ToneMapper.FORMAT, src_colorspace=WIDE)
        return self._mapper.to_standard(wide)


def _on_black(image_bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend a BGRA image onto black, as image files are."""
    alpha = image_bgra[..., 3:].astype(np.uint16)
    return ((image_bgra[..., :3] * alpha + 127) // 255).astype(np.uint8)
