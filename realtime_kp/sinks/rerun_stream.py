"""Frames and tracks for the viewer of Rerun (rerun.io)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError, SinkError, first_line
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.render import id_colours
from realtime_kp.sinks.base import check_output

log = logging.getLogger(__name__)

TRAIL_LENGTH = 20
_APPLICATION = "realtime-kp"
_FPS, _CRF, _KEY_FRAMES = 30, 23, 30
_RADIUS_PX = 2.0
_FLUSH_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class RerunFrame:
    """What is shown of one frame.

    Attributes:
        index: Its number.
        time_ns: Its time, nanoseconds.
        ids: `(N,) int64`.
        xy: `(N, 2)`, pixels; the centre of the top left pixel is at (0, 0).
        trails: `(N, L, 2)`, past positions, the newest last; the first known one stands for those before.
        lengths: `(N,)`, in how many frames each was seen so far.
        names: Names of points that have one, by id.
        image_bgr: The picture; None without one.
    """

    index: int
    time_ns: int
    ids: NDArray[np.int64]
    xy: NDArray[np.float64] | NDArray[np.float32]
    trails: NDArray[Any]
    lengths: NDArray[Any]
    names: dict[int, str]
    image_bgr: NDArray[np.uint8] | None = None


class RerunLog:
    """Logs frames: `video` (H.264), `video/tracks` with `track_id`, `video/trails`, and figures as curves.

    Timelines: `frame`, and `time`, the clock of the source. In Rerun the upper left corner of a picture is at
    (0, 0), so that half a pixel is added (its documentation of 2D views).

    Args:
        recording: A `rerun.RecordingStream`.
    """

    def __init__(self, recording: Any) -> None:
        self._recording = recording
        self._encoder: av.VideoCodecContext | None = None
        self._count = 0

    def log(self, frame: RerunFrame) -> None:
        """Log one frame."""
        import rerun as rr

        recording = self._recording
        recording.set_time("frame", sequence=frame.index)
        recording.set_time("time", timestamp=np.datetime64(frame.time_ns, "ns"))
        if frame.image_bgr is not None:
            self._log_picture(frame.image_bgr)
        colours = np.rint(id_colours(frame.ids) * 255).astype(np.uint8)
        labels = [frame.names.get(number, "") for number in frame.ids.tolist()] if frame.names else None
        points = rr.Points2D(frame.xy + 0.5, colors=colours, radii=_RADIUS_PX, labels=labels)
        recording.log("video/tracks", points, rr.AnyValues(track_id=frame.ids))
        recording.log("video/trails", rr.LineStrips2D(frame.trails + 0.5, colors=colours))
        mean_length = float(frame.lengths.mean()) if len(frame.lengths) else 0.0
        recording.log("figures/tracks", rr.Scalars(float(len(frame.ids))))
        recording.log("figures/mean_length", rr.Scalars(mean_length))

    def _log_picture(self, image_bgr: NDArray[np.uint8]) -> None:
        import rerun as rr

        height, width = (side // 2 * 2 for side in image_bgr.shape[:2])
        if self._encoder is not None and (self._encoder.width, self._encoder.height) != (width, height):
            self._encoder = None  # another size begins another stream
        if self._encoder is None:
            self._encoder = _encoder(width, height)
            self._count = 0
            self._recording.log("video", rr.VideoStream(codec=rr.VideoCodec.H264), static=True)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr[:height, :width]), format="bgr24")
        picture.pts, picture.time_base = self._count, Fraction(1, _FPS)
        self._count += 1
        sample = b"".join(bytes(packet) for packet in self._encoder.encode(picture))
        self._recording.log("video", rr.VideoStream.from_fields(sample=sample))


def _encoder(width: int, height: int) -> av.VideoCodecContext:
    """An encoder that answers each picture at once, in Annex B and without B-frames, as Rerun asks for."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, _FPS), Fraction(_FPS)
    encoder.options = {
        "tune": "zerolatency",
        "preset": "veryfast",
        "crf": str(_CRF),
        "g": str(_KEY_FRAMES),
        "bf": "0",
    }
    return encoder


class RerunSink:
    """Shows tracked frames in a viewer, or writes them into a file.

    Args:
        target: `spawn` starts a viewer, `rerun+http://HOST:PORT/proxy` connects to one that runs, and a file
            ends in `.rrd`.

    Raises:
        ConfigError: The target is none of these, or Rerun is not installed.
    """

    def __init__(self, target: str) -> None:
        check_rerun(target)
        self.target = target
        self._recording: Any = None
        self._log: RerunLog | None = None

    def __enter__(self) -> Self:
        import rerun as rr

        self._recording = rr.RecordingStream(_APPLICATION)
        try:
            if self.target == "spawn":
                self._recording.spawn()
            elif "://" in self.target:
                self._recording.connect_grpc(self.target)
            else:
                self._recording.save(self.target)
        except Exception as exc:  # its exceptions have no common base
            raise SinkError(f"cannot open {self.target}: {first_line(exc)}") from exc
        self._log = RerunLog(self._recording)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._recording.flush(timeout_sec=_FLUSH_S)
        except Exception as exc:  # a viewer that has gone must not keep the run from ending
            log.warning("not all of it reached %s: %s", self.target, first_line(exc))
        self._recording.disconnect()

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Show one frame; Rerun sends it by a thread of its own."""
        assert self._log is not None
        tracks, frame = tracked.tracks.seen_confirmed, tracked.frame
        trails = _since_gaps(tracks.trails_xy[:, -TRAIL_LENGTH:])
        names = dict(tracks.labels)
        shown = RerunFrame(
            frame.index, frame.time_ns, tracks.ids, tracks.xy, trails, tracks.lengths, names, frame.image_bgr
        )
        self._log.log(shown)


def _since_gaps(trails_xy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Trails `(N, L, 2)` in which the first position after a gap stands for all before it."""
    known = np.logical_and.accumulate(np.isfinite(trails_xy[:, ::-1, 0]), axis=1).sum(axis=1)
    length = trails_xy.shape[1]
    places = np.maximum(np.arange(length), np.minimum(length - known, length - 1)[:, None])
    return np.asarray(trails_xy[np.arange(len(trails_xy))[:, None], places])


def check_rerun(target: str | None, *, overwrite: bool = True, inputs: Iterable[str] = ()) -> Path | None:
    """Check a target of `--rerun`, and tell the file that it names.

    Args:
        target: The target; None for none.
        overwrite: Whether an existing file may be replaced.
        inputs: Sources of the run; they are never overwritten.

    Returns:
        The file; None for viewers.

    Raises:
        ConfigError: It is no target, or Rerun is not installed.
        SinkError: The file exists, or cannot be written.
    """
    if target is None:
        return None
    is_address = target.startswith(("rerun://", "rerun+http://", "rerun+https://"))
    path = None if target == "spawn" or is_address else Path(target)
    if path is not None and path.suffix.lower() != ".rrd":
        raise ConfigError(
            f"--rerun takes spawn, an address such as rerun+http://127.0.0.1:9876/proxy, or a file.rrd, got "
            f"{target!r}"
        )
    try:
        import rerun  # noqa: F401
    except ImportError as exc:
        raise ConfigError("Rerun needs its package: pip install 'realtime-kp[rerun]'") from exc
    if path is not None:
        check_output(path, overwrite=overwrite, inputs=inputs)
    return path
