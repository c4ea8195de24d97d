"""Annotated video: H.264 in MP4, written by PyAV."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.base import PartialFile, written
from realtime_kp.sinks.sound import Sound

log = logging.getLogger(__name__)

TIME_BASE = Fraction(1, 90_000)
_BT709 = 1  # value of FFmpeg's AVCOL_PRI_, AVCOL_TRC_ and AVCOL_SPC_BT709


class VideoFileSink:
    """Writes pictures as H.264 yuv420p MP4 that browsers play, with the timestamps of their frames.

    The first picture sets the size; later ones of another size are scaled to it. Odd sizes get one repeated
    row or column, as yuv420p needs even ones.

    Args:
        path: The final name; the file grows beside it as `<stem>.partial.mp4`.
        fps: Nominal rate, a hint for the encoder's rate control; timestamps are the frames' own.
        crf: Quality, 0 to 51.
        preset: Of the encoder.
        from_zero: Let the first frame's time be 0: a recording begins when it begins.
        sound: A file whose sound is carried along.
    """

    def __init__(
        self,
        path: Path,
        *,
        fps: float | None = None,
        crf: int = 20,
        preset: str = "veryfast",
        from_zero: bool = False,
        sound: Path | None = None,
    ) -> None:
        self.path = path
        self._fps = fps
        self._crf = crf
        self._preset = preset
        self._file = PartialFile(path)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.video.stream.VideoStream | None = None
        self._size_wh = (0, 0)
        self._last_pts: int | None = None
        self._zero_s: float | None = None if from_zero else 0.0
        self._scaled = False
        self._sound = None if sound is None else Sound(sound)
        self._last_s = 0.0
        self.frames = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        self._file.finish(self._close, error, worth_keeping=self.frames > 0, faults=(av.FFmpegError, OSError))

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Encode one picture.

        Raises:
            SinkError: The encoder or the file system refuses.
        """
        if image_bgr is None:
            return
        try:
            if self._container is None:
                self._open((image_bgr.shape[1], image_bgr.shape[0]))
            self._encode(self._fit(image_bgr), tracked.frame.time_s)
        except (av.FFmpegError, OSError) as exc:
            raise written(self.path, exc) from exc
        self.frames += 1

    def _open(self, size_wh: tuple[int, int]) -> None:
        self._size_wh = size_wh
        width, height = (side + side % 2 for side in size_wh)
        if (width, height) != size_wh:
            log.warning(
                "%s: %dx%d is odd, H.264 needs even sides: written as %dx%d, last row or column repeated",
                self.path.name,
                *size_wh,
                width,
                height,
            )
        options = {"crf": str(self._crf), "preset": self._preset}
        self._container = av.open(
            str(self._file.partial.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
        )
        rate = Fraction(self._fps or 30.0).limit_denominator(100_000)
        stream = self._container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        for tag in ("color_primaries", "color_trc", "colorspace"):
            setattr(stream.codec_context, tag, _BT709)
        stream.codec_context.color_range = ColorRange.MPEG
        self._stream = stream
        if self._sound is not None:
            self._sound.attach(self._container)

    def _fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size = (image.shape[1], image.shape[0])
        if size != self._size_wh:
            if not self._scaled:
                log.warning(
                    "%s: frames of %dx%d are scaled to the first size, %dx%d",
                    self.path.name,
                    *size,
                    *self._size_wh,
                )
                self._scaled = True
            image = np.asarray(cv2.resize(image, self._size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        right, bottom = self._size_wh[0] % 2, self._size_wh[1] % 2
        if right or bottom:
            image = np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        return image

    def _encode(self, image: NDArray[np.uint8], time_s: float) -> None:
        assert self._container is not None
        assert self._stream is not None
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        if self._zero_s is None:
            self._zero_s = time_s
        pts = round((time_s - self._zero_s) / TIME_BASE)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1  # encoders refuse times that do not grow
        self._last_pts, self._last_s = pts, time_s
        if self._sound is not None:
            self._sound.copy_until(time_s, self._zero_s)
        frame.pts, frame.time_base = pts, TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def _close(self) -> None:
        assert self._container is not None
        assert self._stream is not None
        try:
            if self._sound is not None:
                # The last picture is seen for as long as any.
                self._sound.copy_until(self._last_s + 1 / (self._fps or 30.0), self._zero_s or 0.0)
                self._sound.close()
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
            self._container = None
