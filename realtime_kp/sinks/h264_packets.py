"""Pictures as H.264 packets, one for each, as they can be streamed at once."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from realtime_kp.sinks.mp4 import TIME_BASE

BT709 = 1  # value of FFmpeg's AVCOL_PRI_, AVCOL_TRC_ and AVCOL_SPC_BT709

# A viewer that jumps decodes from the last key frame on.
_KEY_FRAME_EVERY = 30


class H264Packets:
    """Encodes pictures as an Annex B stream without B-frames: each packet is one whole picture.

    Parameter sets stand before each key frame (ITU-T H.264, annex B). The first picture sets the size; later
    ones of another size are scaled to it.

    Args:
        crf: Constant rate factor, 0 to 51.
        preset: Preset of the encoder.
        key_frame_every: Most pictures from one key frame to the next.
        threads: Number of threads of the encoder; 0 leaves it to x264. One alone has a short latency where
            other work keeps the cores busy.

    Attributes:
        key: Whether the last picture is a key frame.
    """

    def __init__(
        self,
        *,
        crf: int = 23,
        preset: str = "veryfast",
        key_frame_every: int = _KEY_FRAME_EVERY,
        threads: int = 0,
    ) -> None:
        self._threads = threads
        self._key_frame_every = key_frame_every
        # Key frames that are asked for are such that nothing after them needs what was before.
        self._options = {"crf": str(crf), "preset": preset, "tune": "zerolatency", "forced-idr": "1"}
        self._size_wh: tuple[int, int] | None = None
        self._encoder: av.VideoCodecContext | None = None
        self._converter = VideoReformatter()
        self._count = 0
        self.key = False

    def packet(self, image_bgr: NDArray[np.uint8], *, key: bool = False) -> bytes:
        """The packet of the next picture.

        Args:
            image_bgr: `(H, W, 3)`.
            key: Whether it has to be a key frame; others are where the encoder wants them.

        Raises:
            av.FFmpegError: The encoder fails.
        """
        if self._size_wh is None:
            self._size_wh = (image_bgr.shape[1], image_bgr.shape[0])
            self._encoder = self._opened(self._size_wh)
        assert self._encoder is not None
        frame = self._converter.reformat(
            av.VideoFrame.from_numpy_buffer(even_picture(image_bgr, self._size_wh), format="bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        # Times are those of the packets where they are kept.
        frame.pts, frame.time_base = self._count * round(1 / (30 * TIME_BASE)), TIME_BASE
        self._count += 1
        if key:
            frame.pict_type = PictureType.I
        packets = self._encoder.encode(frame)
        self.key = any(packet.is_keyframe for packet in packets)
        return b"".join(bytes(packet) for packet in packets)

    def _opened(self, size_wh: tuple[int, int]) -> av.VideoCodecContext:
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height = (side + side % 2 for side in size_wh)
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = TIME_BASE
        encoder.gop_size, encoder.max_b_frames = self._key_frame_every, 0
        encoder.options = self._options
        encoder.thread_count = self._threads
        for tag in ("color_primaries", "color_trc", "colorspace"):
            setattr(encoder, tag, BT709)
        encoder.color_range = ColorRange.MPEG
        return encoder


def even_picture(image_bgr: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture scaled to a size; odd sides get one repeated row or column, as yuv420p needs even ones.

    Args:
        image_bgr: `(H, W, 3)`.
        size_wh: Width and height before rows or columns are repeated.
    """
    if (image_bgr.shape[1], image_bgr.shape[0]) != size_wh:
        image_bgr = np.asarray(cv2.resize(image_bgr, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    right, bottom = size_wh[0] % 2, size_wh[1] % 2
    if right or bottom:
        repeated = cv2.copyMakeBorder(image_bgr, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        image_bgr = np.asarray(repeated, np.uint8)
    return np.ascontiguousarray(image_bgr)
