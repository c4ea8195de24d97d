"""Video files and network streams, by PyAV (FFmpeg)."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
from av.video.reformatter import VideoReformatter

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo
from realtime_kp.sources.container_times import begin_s, end_s
from realtime_kp.sources.decoded_image import upright_bgr
from realtime_kp.sources.deinterlace import deinterlaced
from realtime_kp.sources.timestamps import with_increasing_times

log = logging.getLogger(__name__)

STREAM_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https")
# Formats that make FFmpeg open further files (playlists, concat lists, numbered patterns) are excluded.
FILE_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,gif,"
    "h264,hevc,m4v,ivf,obu,yuv4mpegpipe,mjpeg,mxf,nut,dv,rm,wtv"
)
_EARLY_END_S = 1.0
_EARLY_END_SHARE = 0.02
LOOK_AHEAD = 4


class VideoSource:
    """Frames of a video file or a network stream, upright and with their timestamps.

    Undecodable packets are skipped and counted; after the last frame `damage` describes them.
    """

    def __init__(
        self,
        location: str | Path,
        *,
        start_s: float = 0.0,
        timeout_s: float = 2.5,
        max_pixels: int = InputConfig().max_pixels,
    ) -> None:
        self.location = location
        self.start_s = start_s
        self.timeout_s = timeout_s
        self.max_pixels = max_pixels
        self.damage: str | None = None
        self._container: av.container.InputContainer | None = None
        self._info: SourceInfo | None = None
        self._begun = False
        self._converter = VideoReformatter()

    @property
    def is_stream(self) -> bool:
        """Whether this is a network stream."""
        return isinstance(self.location, str)

    @property
    def info(self) -> SourceInfo:
        """Properties of the source; valid while it is open."""
        if self._info is None:
            raise RuntimeError("info is available only while the source is open")
        return self._info

    def __enter__(self) -> Self:
        self._container = self._open()
        try:
            self._info = self._describe(self._stream())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __iter__(self) -> Iterator[Frame]:
        if self._begun and not self.info.live:
            self._reopen()
            self.damage = None
        self._begun = True
        if self.start_s > 0:
            self._seek()
        index = 0
        time_s = shown_s = 0.0
        for picture, time_s in with_increasing_times(
            deinterlaced(self._pictures()), self.info.fps, self._look_ahead
        ):
            if time_s < self._first_s - 1e-6:
                continue
            shown_s = float((picture.duration or 0) * picture.time_base) if picture.time_base else 0.0
            grabbed_at_s = time.perf_counter()
            yield Frame(index, time_s, grabbed_at_s, upright_bgr(picture, self._converter))
            index += 1
        if index == 0:
            where = f" after second {self.start_s:g}" if self.start_s > 0 else " that can be decoded"
            raise SourceError(f"{self.info.name} holds no frames{where}")
        self._note_missing(index, time_s + shown_s)

    @property
    def _first_s(self) -> float:
        """Start of reading on the clock of the file."""
        return self.start_s + self.info.begin_s if self.start_s > 0 else 0.0

    @property
    def _look_ahead(self) -> int:
        return 0 if self.is_stream else LOOK_AHEAD

    def _open(self) -> av.container.InputContainer:
        name = display_name(self.location)
        options: dict[str, str] = {}
        if self.is_stream:
            options |= {"flags": "low_delay", "rtsp_transport": "tcp"}
        else:
            _check_regular(Path(self.location))
            options |= {"format_whitelist": FILE_FORMATS, "protocol_whitelist": "file"}
        try:
            # Opening a stream takes several requests, each with the time-out.
            timeout = (2 * self.timeout_s, self.timeout_s) if self.is_stream else None
            location = self.location if isinstance(self.location, str) else str(self.location.absolute())
            container = av.open(location, options=options, timeout=timeout)
        except (av.FFmpegError, OSError, ValueError) as exc:
            mend = "check its address and that it is being sent" if self.is_stream else "is it a video file?"
            raise SourceError(f"cannot open {name}: {_reason(exc)}; {mend}") from exc
        try:
            _prepare(container, name, "SLICE" if self.is_stream else "AUTO", self.max_pixels)
        except BaseException:
            container.close()
            raise
        return container

    def _stream(self) -> av.video.stream.VideoStream:
        assert self._container is not None
        return self._container.streams.video[0]

    def _describe(self, stream: av.video.stream.VideoStream) -> SourceInfo:
        assert self._container is not None
        rate = stream.average_rate or stream.guessed_rate
        fps = float(rate) if rate and 0 < float(rate) <= 1000 else None
        duration_s = None if self._container.duration is None else self._container.duration / av.time_base
        count = stream.frames or None
        if duration_s and fps:
            # Headers may be wrong: the smaller of two estimates does not announce frames that cannot come.
            by_duration = max(1, round(duration_s * fps))
            count = min(count, by_duration) if count else by_duration
        if count is not None and fps and self.start_s > 0:
            count = max(0, count - int(self.start_s * fps))
        live = self.is_stream and not duration_s
        size = (stream.width, stream.height) if stream.width and stream.height else None
        aspect = stream.sample_aspect_ratio or None
        if size is not None and not self.is_stream and self._is_turned():
            size, aspect = size[::-1], None if aspect is None else 1 / aspect
        aspect = None if aspect == 1 else aspect
        begins_s = begin_s(self._container)
        name = display_name(self.location)
        return SourceInfo(name, size, fps, count, live, pixel_aspect=aspect, begin_s=begins_s)

    def _is_turned(self) -> bool:
        # Only a decoded frame has the rotation; reading restarts after it.
        try:
            first = next(self._pictures(), None)
        except SourceError:
            first = None
        self.damage = None
        self._reopen()
        return first is not None and round(first.rotation / 90) % 2 == 1

    def _seek(self) -> None:
        assert self._container is not None
        place = int(self._first_s * av.time_base)
        try:
            self._container.seek(place, backward=True)
            first = next(self._pictures(), None)
            landed = first is not None and first.time is not None and first.time <= self._first_s
            if landed:
                self._container.seek(place, backward=True)
                return
        except av.FFmpegError as exc:
            log.debug("seeking failed: %s", exc)
        # Some containers seek too far; reading from the beginning is slow but right.
        self._reopen()

    def _pictures(self) -> Iterator[av.VideoFrame]:
        stream = self._stream()
        assert self._container is not None
        faults = 0
        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as exc:
                if self.is_stream:
                    raise SourceError(f"{self.info.name} stopped: {_reason(exc)}") from exc
                self.damage = f"reading stopped early: {_reason(exc)}"
                break
            try:
                yield from packet.decode()
            except av.FFmpegError as exc:
                faults += 1
                log.debug("undecodable packet: %s", exc)
        if faults:
            self.damage = f"{faults} packets could not be decoded"

    def _note_missing(self, decoded: int, came_s: float) -> None:
        """Set `damage` where the last frame ends too early."""
        if self.is_stream or self._container is None:
            return
        whole_s = end_s(self._container)
        # Frame counts in headers are unreliable, the last timestamp is not.
        early = whole_s is not None and whole_s - came_s > max(_EARLY_END_S, _EARLY_END_SHARE * whole_s)
        if not early and self.damage is None:
            return
        about, begun_s = decoded, self._first_s or self.info.begin_s
        if early and whole_s is not None and came_s > begun_s:
            about = max(decoded + 1, round(decoded * (whole_s - begun_s) / (came_s - begun_s)))
        detail = f" ({self.damage})" if self.damage else ""
        self.damage = f"{self.info.name} is damaged: decoded {decoded} of about {about} frames{detail}"

    def _reopen(self) -> None:
        self._close()
        self._container = self._open()

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None


def display_name(location: str | Path) -> str:
    """The location without credentials and query, for messages."""
    if isinstance(location, Path):
        return str(location)
    scheme, separator, rest = location.partition("://")
    if not separator:
        return location
    # A password may contain any of /?#: everything before the last @ is removed.
    rest = rest.rpartition("@")[2]
    return f"{scheme}://{re.split(r'[?#]', rest, maxsplit=1)[0]}"


def _prepare(
    container: av.container.InputContainer, name: str, threads: Literal["SLICE", "AUTO"], max_pixels: int
) -> None:
    if not container.streams.video:
        raise SourceError(f"{name} holds no video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise SourceError(f"{name} is in a video format that this build cannot decode")
    if stream.width * stream.height > max_pixels:
        size = f"{stream.width}x{stream.height}"
        raise SourceError(f"{name} declares frames of {size}, more than --max-pixels allows")
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    # Frame threading decodes faster but delays frames, which is wrong for a live stream.
    stream.thread_type = threads


def _check_regular(path: Path) -> None:
    if not os.path.exists(path):
        raise SourceError(f"there is no file {path}")
    if not path.is_file():
        raise SourceError(f"{path} is not a regular file")


def _reason(exc: Exception) -> str:
    # The text of PyAV repeats the location with credentials: only the cause is kept.
    text = getattr(exc, "strerror", None) or str(exc)
    return re.sub(r"^\[Errno -?\d+\] ", "", str(text)).split(": '")[0].strip().rstrip(".")
