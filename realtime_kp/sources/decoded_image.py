"""A decoded video frame as an upright BGR image."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_HD_LINES = 720


def upright_bgr(picture: av.VideoFrame, converter: VideoReformatter) -> NDArray[np.uint8]:
    """Convert a decoded frame to BGR, blend transparency onto black, and apply its rotation.

    Args:
        picture: The decoded frame.
        converter: Kept between the frames of a video, so that FFmpeg's scaler is set up once.

    Returns:
        `(H, W, 3) uint8`.
    """
    colorspace = picture.colorspace
    if colorspace == _UNSPECIFIED:
        # Where a file does not name its colour matrix, players assume BT.709 for HD and BT.601 below.
        colorspace = Colorspace.ITU709 if picture.height >= _HD_LINES else Colorspace.ITU601
    if any(component.is_alpha for component in picture.format.components):
        with_alpha = converter.reformat(picture, format="bgra", src_colorspace=colorspace)
        image = _on_black(np.asarray(with_alpha.to_ndarray(), np.uint8))
    else:
        converted = converter.reformat(picture, format="bgr24", src_colorspace=colorspace)
        image = np.asarray(converted.to_ndarray(), np.uint8)
    quarter_turns = round(picture.rotation / 90) % 4
    if quarter_turns:
        image = np.rot90(image, quarter_turns)
    return np.ascontiguousarray(image, dtype=np.uint8)


def _on_black(image_bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend a BGRA image onto black, as image files are."""
    alpha = image_bgra[..., 3:].astype(np.uint16)
    return ((image_bgra[..., :3] * alpha + 127) // 255).astype(np.uint8)
