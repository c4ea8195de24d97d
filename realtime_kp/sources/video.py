"""Video files and network streams, by PyAV (FFmpeg)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo, while_open
from realtime_kp.sources.container import Container, Limits, display_name, reason
from realtime_kp.sources.container_times import end_s
from realtime_kp.sources.cut_files import missing_bytes
from realtime_kp.sources.damage import Damage
from realtime_kp.sources.decoded_image import FrameConverter
from realtime_kp.sources.deinterlace import deinterlaced
from realtime_kp.sources.frame_numbers import FrameNumbers
from realtime_kp.sources.hls import check_hls, is_hls
from realtime_kp.sources.orientation import Orientation
from realtime_kp.sources.timestamps import IncreasingTimes, Timed

log = logging.getLogger(__name__)

LOOK_AHEAD = 4


class VideoSource:
    """Frames of a video file or a network stream, upright and with their timestamps.

    The first frame that is shown is at time 0, whatever the clock of the file; `info.begin_s` is its time on
    that clock. Pictures of a stream without times get those of their arrival. Undecodable packets are skipped
    and counted; after the last frame `damage` describes them.
    """

    def __init__(
        self,
        location: str | Path,
        *,
        start_s: float = 0.0,
        timeout_s: float = 2.5,
        max_pixels: int = InputConfig().max_pixels,
        stream: int | None = None,
    ) -> None:
        self.location = location
        self.start_s = start_s
        self.limits = Limits(timeout_s, max_pixels, stream)
        self.damage: str | None = None
        self._container: Container | None = None
        self._info: SourceInfo | None = None
        self._begun = False
        self._zero_s = 0.0
        self._damage = Damage()
        self._converter = FrameConverter(display_name(location))

    @property
    def is_stream(self) -> bool:
        """Whether this is a network stream."""
        return isinstance(self.location, str)

    @property
    def info(self) -> SourceInfo:
        """Properties of the source; valid while it is open."""
        return while_open(self._info)

    def __enter__(self) -> Self:
        self._container = self._opened()
        try:
            self._container.tell_of_others()
            self._info = self._describe()
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
        self._begun, self.damage, self._damage = True, None, Damage()
        if self.start_s > 0:
            self._seek()
            self._damage = Damage()
        origin_s, arrived_s = self._origin_s(), None
        index, last_s = 0, 0.0
        timed: Timed | None = None
        for timed in self._timed():
            now_s = time.perf_counter()
            origin_s = self._zero_s = timed.time_s if origin_s is None else origin_s
            arrived_s = now_s if arrived_s is None else arrived_s
            time_s = now_s - arrived_s if self._by_arrival else timed.time_s - origin_s
            if time_s < self.start_s - 1e-6:
                continue
            if index == 0 and self.start_s > 0:
                # What comes before the part that was asked for does not matter.
                self._damage.restart()
            damaged = timed.picture.is_corrupt
            self._damage.frames += damaged
            self._damage.note_gap(time_s - last_s if index else 0.0, self.info.fps)
            image = self._converter.upright_bgr(timed.picture)
            yield Frame(index, time_s, now_s, image, session=timed.jumps, damaged=damaged)
            index, last_s = index + 1, time_s
        if timed is None or index == 0:
            where = f" after second {self.start_s:g}" if self.start_s > 0 else " that can be decoded"
            raise SourceError(f"{self.info.name} holds no frames{where}{self._mend}")
        self.damage = self._described_damage(index, last_s, timed)

    @property
    def _open_container(self) -> Container:
        assert self._container is not None
        return self._container

    @property
    def _mend(self) -> str:
        """What to do where nothing can be decoded."""
        return ""

    @property
    def _by_arrival(self) -> bool:
        return self.info.live and self._open_container.timeless

    def _timed(self, *, tell: bool = True) -> Iterator[Timed]:
        container = self._open_container
        times = IncreasingTimes(
            container.name,
            container.fps,
            0 if self.is_stream else LOOK_AHEAD,
            clock_may_jump=container.clock_may_jump,
            constant_rate=container.has_constant_rate,
            tell=tell,
        )
        return times.pair(deinterlaced(self._pictures()))

    def _describe(self) -> SourceInfo:
        container = self._open_container
        stream, fps, duration_s = container.stream, container.fps, container.duration_s
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
        first = self._first()
        if size is not None and first is not None and Orientation.of(first.picture).transposed:
            size, aspect = size[::-1], None if aspect is None else 1 / aspect
        return SourceInfo(
            container.name,
            size,
            None if live and container.timeless else fps,
            count,
            live,
            pixel_aspect=None if aspect == 1 else aspect,
            begin_s=0.0 if first is None else first.time_s,
        )

    def _first(self) -> Timed | None:
        """The first frame of a file, which alone tells orientation and start; reading restarts after it."""
        if self.is_stream:
            return None
        try:
            first = next(self._timed(tell=False), None)
        except SourceError:
            first = None
        self._reopen()
        return first

    def _seek(self) -> None:
        container, wanted_s = self._open_container.container, self.start_s + self.info.begin_s
        place = int(wanted_s * av.time_base)
        try:
            container.seek(place, backward=True)
            first = next(self._pictures(), None)
            landed = first is not None and first.time is not None and first.time <= wanted_s
            if landed:
                container.seek(place, backward=True)
                return
        except av.FFmpegError as exc:
            log.debug("seeking failed: %s", exc)
        # Some containers seek too far; reading from the beginning is slow but right.
        self._reopen()

    def _pictures(self) -> Iterator[av.VideoFrame]:
        opened, damage = self._open_container, self._damage
        numbers = FrameNumbers() if opened.is_raw_h264 else None
        packets = opened.container.demux(opened.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as exc:
                cause = reason(exc, self.limits.timeout_s)
                if self.is_stream:
                    raise SourceError(f"{opened.name} stopped: {cause}") from exc
                damage.stopped = cause
                return
            damage.incomplete += packet.is_corrupt
            if numbers is not None:
                damage.missing += numbers.missing_before(bytes(packet))
            try:
                yield from opened.decode(packet)
            except av.FFmpegError as exc:
                damage.undecodable += 1
                log.debug("undecodable packet: %s", exc)

    def _origin_s(self) -> float | None:
        """Time 0 on the clock of the file; None for that of the first frame that comes."""
        return None if self.is_stream else self.info.begin_s

    def _end_s(self) -> float | None:
        """End of the video on the clock of the file; None where nothing tells."""
        return None if self.is_stream or self._container is None else end_s(self._container)

    def _missing_bytes(self) -> int:
        return 0 if self.is_stream else missing_bytes(Path(self.location))

    def _described_damage(self, decoded: int, last_s: float, last: Timed) -> str | None:
        if self._container is None:
            return None
        picture, ends_s = last.picture, self._end_s()
        shown_s = float((picture.duration or 0) * picture.time_base) if picture.time_base else 0.0
        # Over a jump of the clock no header tells the end.
        whole_s = None if ends_s is None or last.jumps else ends_s - self._zero_s
        self._damage.missing_bytes = self._missing_bytes()
        if isinstance(self.location, Path) and is_hls(self.location):
            self._damage.missing_segments = check_hls(self.location)
        came_s, count = last_s + shown_s - self.start_s, self.info.frame_count
        whole_s = None if whole_s is None else whole_s - self.start_s
        return self._damage.describe(self.info.name, decoded, count, came_s, whole_s)

    def _reopen(self) -> None:
        self._close()
        self._container = self._opened()

    def _opened(self) -> Container:
        return Container(self.location, self.limits)

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None
