"""Annotated video: H.264 in MP4, written by PyAV."""

from __future__ import annotations

import logging
from array import array
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from realtime_kp.errors import SinkError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.base import PartialFile, write_error
from realtime_kp.sinks.h264_packets import BT709, even_picture
from realtime_kp.sinks.mp4 import TIME_BASE, picture_packets, place, write_mp4
from realtime_kp.sinks.sound import Sound

log = logging.getLogger(__name__)

_FAULTS = (av.FFmpegError, OSError)


@dataclass(frozen=True, slots=True)
class VideoMark:
    """Position in a video from which another run can continue.

    Attributes:
        times: `(N,) int64`, presentation times in ticks of 1/90000 s.
        size_wh: Width and height of the frames as they came.
        zero_s: Time 0 of the file on the clock of the frames.
    """

    times: NDArray[np.int64]
    size_wh: tuple[int, int]
    zero_s: float


class VideoFileSink:
    """Writes frames as H.264 yuv420p MP4, which browsers play, with their timestamps.

    The first frame sets the size; later ones of another size are scaled to it. Odd sizes get one repeated row
    or column, since yuv420p needs even ones.

    The file is written as `<stem>.partial.mkv`, which can be played and continued whenever the process ends.

    Args:
        path: The final name.
        fps: Nominal frame rate, a hint for the rate control of the encoder; timestamps are those of the
            frames.
        crf: Constant rate factor, 0 to 51.
        preset: Preset of the encoder.
        from_zero: Set the time of the first frame to 0, as for recordings.
        sound: Audio to copy.
        pixel_aspect: Width to height of a pixel in display; None for square pixels.
        resume: Position from which the partial file of an earlier run is continued.
        comment: Text for the metadata of the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        fps: float | None = None,
        crf: int = 20,
        preset: str = "veryfast",
        from_zero: bool = False,
        sound: Sound | None = None,
        pixel_aspect: Fraction | None = None,
        resume: VideoMark | None = None,
        comment: str = "",
    ) -> None:
        self.path = path
        self._fps = fps
        self._crf = crf
        self._preset = preset
        self._file = PartialFile(path, self._make_mp4)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.video.stream.VideoStream | None = None
        self._size_wh = (0, 0)
        self._converter = VideoReformatter()
        self._times = array("q")
        self._zero_s: float | None = None if from_zero else 0.0
        self._scaled = False
        self._sound = sound
        self._pixel_aspect = pixel_aspect
        self._resume = resume
        self._comment = comment
        self.frames = 0

    def __enter__(self) -> Self:
        if self._resume is not None:
            try:
                self._go_on(self._resume)
            except SinkError:
                self._give_up()
                raise
            except _FAULTS as exc:
                self._give_up()
                raise write_error(self.path, exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        self._file.finish(self._close, error, worth_keeping=self.frames > 0, faults=_FAULTS)
        if error is None:
            self._earlier.unlink(missing_ok=True)

    @property
    def mark(self) -> VideoMark | None:
        """Position in the video; None before the first frame.

        The last frame is certain to be in the file only after the next one was written.
        """
        if self._zero_s is None or not self.frames:
            return None
        return VideoMark(np.array(self._times, np.int64), self._size_wh, self._zero_s)

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Encode one frame.

        Raises:
            SinkError: The encoder fails, or the file cannot be written.
        """
        if image_bgr is None:
            return
        try:
            if self._container is None:
                self._earlier.unlink(missing_ok=True)
                self._open((image_bgr.shape[1], image_bgr.shape[0]))
            self._encode(self._fit(image_bgr), tracked.frame.time_s)
        except _FAULTS as exc:
            raise write_error(self.path, exc) from exc
        self.frames += 1
        # The previous frame and all frames of an earlier run are certain to be in the new file.
        if self._resume is not None and self.frames >= len(self._resume.times) + 2:
            self._resume = None
            self._earlier.unlink(missing_ok=True)

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
        # Frames buffered in the encoder and incomplete clusters would be lost with the process.
        options = {"crf": str(self._crf), "preset": self._preset, "tune": "zerolatency"}
        self._container = av.open(
            str(self._file.partial.absolute()),
            "w",
            format="matroska",
            options={"cluster_time_limit": "1", "flush_packets": "1"},
        )
        rate = Fraction(self._fps or 30.0).limit_denominator(100_000)
        stream = self._container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        if self._pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = self._pixel_aspect
        for tag in ("color_primaries", "color_trc", "colorspace"):
            setattr(stream.codec_context, tag, BT709)
        stream.codec_context.color_range = ColorRange.MPEG
        self._stream = stream

    @property
    def _earlier(self) -> Path:
        """Partial file of an earlier run, while its frames are being copied."""
        return self.path.with_name(f"{self.path.stem}.earlier.mkv")

    def _go_on(self, mark: VideoMark) -> None:
        # A run that ended while copying leaves fewer frames than it found: the earlier file takes precedence.
        if not self._earlier.exists() and self._file.partial.exists():
            self._file.partial.replace(self._earlier)
        found = self._earlier if self._earlier.exists() else self.path
        self._open(mark.size_wh)
        self._zero_s = mark.zero_s
        assert self._container is not None
        assert self._stream is not None
        with av.open(str(found.absolute())) as container:
            # Files store H.264 in another form than encoders output; the muxer expects the latter.
            as_encoded = BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
            packets = islice(picture_packets(container), len(mark.times))
            for packet, ticks in zip(packets, mark.times.tolist(), strict=False):
                for encoded in as_encoded.filter(packet):
                    place(encoded, self._stream, ticks)
                    self._container.mux(encoded)
                self._times.append(ticks)
                self.frames += 1
        if self.frames < len(mark.times):
            raise SinkError(
                f"cannot continue {found}: it holds {self.frames} of {len(mark.times)} frames; "
                "start again with --overwrite"
            )

    def _give_up(self) -> None:
        if self._container is not None:
            self._container.close()
            self._file.partial.unlink(missing_ok=True)  # the earlier file still has all of its frames

    def _fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size = (image.shape[1], image.shape[0])
        if size != self._size_wh and not self._scaled:
            log.warning(
                "%s: frames of %dx%d are scaled to the first size, %dx%d",
                self.path.name,
                *size,
                *self._size_wh,
            )
            self._scaled = True
        return even_picture(image, self._size_wh)

    def _encode(self, image: NDArray[np.uint8], time_s: float) -> None:
        assert self._container is not None
        assert self._stream is not None
        # Copying each frame and creating a converter for it would cost as much as the conversion.
        frame = self._converter.reformat(
            av.VideoFrame.from_numpy_buffer(image, format="bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        if self._zero_s is None:
            self._zero_s = time_s
        ticks = round((time_s - self._zero_s) / TIME_BASE)
        if self._times and ticks <= self._times[-1]:
            ticks = self._times[-1] + 1  # encoders refuse times that do not grow
        frame.pts, frame.time_base = ticks, TIME_BASE
        self._container.mux(self._stream.encode(frame))
        self._times.append(ticks)

    def _close(self) -> None:
        assert self._container is not None
        assert self._stream is not None
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
            self._container = None

    def _make_mp4(self, grown: Path, target: Path) -> None:
        frame_s, zero_s = 1 / (self._fps or 30.0), self._zero_s or 0.0
        write_mp4(
            grown,
            target,
            self._times,
            frame_s=frame_s,
            zero_s=zero_s,
            sound=self._sound,
            comment=self._comment,
        )
