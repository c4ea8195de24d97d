"""Opening of video files and network streams by PyAV (FFmpeg), and choice of the stream to decode."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import av
import av.error
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from realtime_kp.errors import SourceError
from realtime_kp.sources.hls import HLS_FORMATS, check_hls, is_hls
from realtime_kp.sources.pipe import Pipe

log = logging.getLogger(__name__)

# Formats that make FFmpeg open further files (playlists, concat lists, numbered patterns) are excluded.
FILE_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,gif,"
    "h264,hevc,m4v,ivf,obu,yuv4mpegpipe,mjpeg,mxf,nut,dv,rm,wtv"
)
# Formats of network cameras that send pictures without any time.
_PICTURE_FORMATS = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "image2pipe"})
PIPES_TAKE = "a pipe takes what needs no seeking: transport streams, Matroska, fragmented MP4, MJPEG"
_STILL_FRAMES = 2
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_PLAYLISTS = frozenset({".m3u", ".mpd", ".pls", ".ffconcat"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted of an input.

    Attributes:
        timeout_s: Longest wait for a network stream; opening may take twice as long.
        max_pixels: Largest number of pixels of a frame.
        stream: Number of the stream in the container; None for the largest picture that moves.
    """

    timeout_s: float
    max_pixels: int
    stream: int | None = None


class Container:
    """An open file or network stream, and its stream of video.

    Attributes:
        name: Name for messages, without credentials.
        container: As PyAV gives it.
        stream: The stream that is decoded.
    """

    def __init__(self, location: str | Path | Pipe, limits: Limits) -> None:
        network = isinstance(location, str)
        self.name = display_name(location)
        self.container = _opened(location, self.name, limits)
        try:
            self.stream = _chosen(self.container, self.name, limits)
            # Frame threading decodes faster but delays frames, which is wrong for a live stream.
            _prepare(self.stream, self.name, "SLICE" if network else "AUTO", limits.max_pixels)
            self._with_alpha = _decoder_with_alpha(self.stream, limits.max_pixels)
        except BaseException:
            self.container.close()
            raise

    @property
    def fps(self) -> float | None:
        """Nominal frame rate; None where unknown."""
        own, measured = self.stream.guessed_rate, self.stream.average_rate
        # Where a format has no times, what FFmpeg measures is the rate that it assumes itself.
        # In AVI, H.264 counts fields.
        fields = self.has_constant_rate and own and measured == 2 * own
        rate = (own or measured) if fields or self._flag(Flags.no_timestamps) else (measured or own)
        return float(rate) if rate and 0 < float(rate) <= 1000 else None

    @property
    def duration_s(self) -> float | None:
        """Declared duration of the longest stream; None where none is declared."""
        duration = self.container.duration
        return None if duration is None else duration / av.time_base

    @property
    def timeless(self) -> bool:
        """Whether the format carries no times of its frames."""
        return self._flag(Flags.no_timestamps) or self.container.format.name in _PICTURE_FORMATS

    @property
    def has_constant_rate(self) -> bool:
        """Whether the format counts frames instead of timing them."""
        return self.container.format.name == "avi"

    @property
    def is_raw_h264(self) -> bool:
        """Whether this is a bare H.264 stream, without times and counts."""
        return self.container.format.name == "h264"

    @property
    def clock_may_jump(self) -> bool:
        """Whether the clock of the format may start anew on the way, as in transport streams."""
        return self._flag(Flags.ts_discont)

    def decode(self, packet: av.Packet[VideoStream]) -> list[av.VideoFrame]:
        """The frames that a packet completes; FFmpeg's errors are raised as they are."""
        if self._with_alpha is None:
            return packet.decode()
        return self._with_alpha.decode(packet if packet.size else None)

    def tell_of_others(self) -> None:
        """Say where the container holds other streams of video."""
        others = [
            stream
            for stream in self.container.streams.video
            if stream.index != self.stream.index and stream.codec_context is not None and not _cover(stream)
        ]
        if others:
            sizes = ", ".join(f"{s.index} ({s.width}x{s.height})" for s in others)
            log.warning(
                "%s: stream %d (%dx%d) of several is taken; --input.stream takes another: %s",
                self.name,
                self.stream.index,
                self.stream.width,
                self.stream.height,
                sizes,
            )

    def close(self) -> None:
        """Close it."""
        self.container.close()

    def _flag(self, flag: Flags) -> bool:
        return bool(self.container.format.flags & cast(int, flag.value))


def display_name(location: str | Path | Pipe) -> str:
    """The location without credentials and query, for messages."""
    if isinstance(location, Pipe):
        return location.name
    if isinstance(location, Path):
        return str(location)
    scheme, separator, rest = location.partition("://")
    if not separator:
        return location
    # A password may contain any of /?#: everything before the last @ is removed.
    rest = rest.rpartition("@")[2]
    return f"{scheme}://{re.split(r'[?#]', rest, maxsplit=1)[0]}"


def reason(exc: Exception, timeout_s: float) -> str:
    """What FFmpeg says went wrong, without the location, which may hold credentials."""
    if isinstance(exc, av.error.ExitError):
        return f"no answer for {timeout_s:g} s"
    text = getattr(exc, "strerror", None) or str(exc)
    return re.sub(r"^\[Errno -?\d+\] ", "", str(text)).split(": '")[0].strip().rstrip(".")


def file_options(path: Path) -> dict[str, str]:
    """Options with which FFmpeg opens a file, and no other files but the segments of a checked playlist."""
    formats = f"{FILE_FORMATS},{HLS_FORMATS}" if is_hls(path) else FILE_FORMATS
    return {"format_whitelist": formats, "protocol_whitelist": "file"}


def _opened(location: str | Path | Pipe, name: str, limits: Limits) -> InputContainer:
    address: str | Pipe
    timeout: tuple[float, float] | None = None
    if isinstance(location, Pipe):
        options = {"format_whitelist": FILE_FORMATS}
        mend, address = PIPES_TAKE, location
    elif isinstance(location, str):
        options = {"flags": "low_delay", "rtsp_transport": "tcp"}
        # Opening a stream takes several requests, each with the time-out.
        timeout = (2 * limits.timeout_s, limits.timeout_s)
        mend, address = "check its address and that it is being sent", location
    else:
        _check_regular(location)
        options = file_options(location)
        mend, address = "is it a video file?", str(location.absolute())
        if is_hls(location):
            check_hls(location)
            # One that is still being written is read from its beginning, and waited for.
            options["live_start_index"] = "0"
            timeout = (2 * limits.timeout_s, limits.timeout_s)
        elif location.suffix.lower() in _PLAYLISTS:
            mend = "playlists are not opened, since they name other files; give the video itself"
    try:
        return av.open(address, "r", options=options, timeout=timeout)
    except (av.FFmpegError, OSError, ValueError) as exc:
        cause = reason(exc, 2 * limits.timeout_s)
        raise SourceError(f"cannot open {name}: {cause}; {mend}") from exc


def _chosen(container: InputContainer, name: str, limits: Limits) -> VideoStream:
    videos = [stream for stream in container.streams.video if not _cover(stream)]
    if limits.stream is not None:
        wanted = [stream for stream in videos if stream.index == limits.stream]
        if not wanted:
            there = ", ".join(str(stream.index) for stream in videos) or "none"
            raise SourceError(f"{name} has no video stream {limits.stream}; those with video: {there}")
        return wanted[0]
    if not videos:
        cover = ", only a cover picture" if container.streams.video else ""
        raise SourceError(f"{name} holds no video{cover}")
    videos = [stream for stream in videos if stream.codec_context is not None]
    if not videos:
        raise SourceError(f"{name} is in a video format that this build cannot decode")
    best = container.streams.best("video")

    def worth(stream: VideoStream) -> tuple[bool, int, bool]:
        still = 0 < stream.frames <= _STILL_FRAMES
        return not still, stream.width * stream.height, best is not None and stream.index == best.index

    return max(videos, key=worth)


def _cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _prepare(stream: VideoStream, name: str, threads: Literal["SLICE", "AUTO"], max_pixels: int) -> None:
    if stream.codec_context is None:
        raise SourceError(f"{name} is in a video format that this build cannot decode")
    if stream.width * stream.height > max_pixels:
        size = f"{stream.width}x{stream.height}"
        raise SourceError(f"{name} declares frames of {size}, more than --max-pixels allows")
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    stream.thread_type = threads


def _decoder_with_alpha(stream: VideoStream, max_pixels: int) -> VideoCodecContext | None:
    """The decoder of libvpx for WebM with transparency, which FFmpeg's own one leaves out."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or tags.get("alpha_mode") != "1":
        return None
    decoder = VideoCodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = stream.codec_context.extradata
    decoder.options = {"max_pixels": str(max_pixels)}
    return decoder


def _check_regular(path: Path) -> None:
    if not os.path.exists(path):
        raise SourceError(f"there is no file {path}")
    if not path.is_file():
        raise SourceError(f"{path} is not a regular file")
