"""A run shown in Rerun while it lasts: in a viewer, or as a growing recording."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import av
import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Channel, ChannelClosedError
from realtime_kp.sinks.base import PartialFile
from realtime_kp.sinks.rerun_log import APPLICATION, RerunLog

log = logging.getLogger(__name__)

SPAWN = "spawn"

_WAITING_FRAMES = 4
_CONNECT_S = 2.0
_ASK_EVERY_S = 1.0
_ANSWER_S = 2.0
_END_S = 15.0
_PORTS = {"rerun+http": 80}
_FAULTS = (RuntimeError, OSError, av.FFmpegError)


def check_rerun(target: str) -> None:
    """Check before any work that the SDK is there, and that a viewer answers where an address is given.

    Args:
        target: See `RerunSink`.

    Raises:
        ConfigError: The SDK is missing.
        SinkError: Nothing answers at the address.
    """
    if importlib.util.find_spec("rerun") is None:
        raise ConfigError("--rerun needs rerun-sdk: pip install 'realtime-kp[rerun]'")
    if "://" not in target:
        return
    parts = urlsplit(target)
    try:
        port = parts.port or _PORTS.get(parts.scheme, 443)
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S):
            pass
    except (OSError, ValueError) as exc:
        raise SinkError(f"no Rerun Viewer answers at {target} ({exc}): start one with `rerun`") from exc


class RerunSink:
    """Sends frames and tracks to Rerun from a thread of its own.

    Whoever writes never waits: frames that come faster than they are sent are left out. A viewer that has
    gone is told once, and the run goes on without it.

    Args:
        target: `spawn` starts a viewer; `rerun+http://HOST:PORT/proxy` is one that runs; all else is a file,
            `.rrd`, which gets its name when it is whole.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        is_file = target != SPAWN and "://" not in target
        self._file = PartialFile(Path(target)) if is_file else None
        self._frames: Channel[TrackedFrame] = Channel(_WAITING_FRAMES, "drop_oldest")
        self._over = threading.Event()
        self._fault: Exception | None = None
        self._written = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="realtime-kp rerun", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.close()
        self._wait()
        if self._file is not None:
            self._file.finish(self._raise_fault, error, worth_keeping=self._written > 0)
        if self._frames.dropped:
            log.info("Rerun was sent %d frames, %d were left out", self._written, self._frames.dropped)

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Hand over a frame; what is shown is its own picture, and its confirmed tracks that were seen.

        Raises:
            SinkError: The file cannot be written.
        """
        try:
            self._frames.put(tracked)
        except ChannelClosedError:
            self._raise_fault()

    def _raise_fault(self) -> None:
        """A file that fails ends the run, a viewer does not."""
        if self._file is not None and self._fault is not None:
            raise SinkError(f"cannot write {self._file.path}: {self._fault}") from self._fault

    def _wait(self) -> None:
        if not self._over.wait(_END_S):
            log.warning("Rerun did not take the last frames within %.0f s", _END_S)

    def _run(self) -> None:
        import rerun as rr

        recording = rr.RecordingStream(APPLICATION, recording_id=str(uuid.uuid4()))
        try:
            self._send(recording)
        except _FAULTS as exc:
            self._fault = exc
            if self._file is None:
                log.warning(
                    "nothing more is sent to Rerun (%s): %s", self._target, " ".join(str(exc).split())
                )
                # With a viewer that hangs the SDK would wait without end, here and when the process ends.
                rr.unregister_shutdown()
                self._over.set()
        finally:
            self._frames.close()
            recording.disconnect()
            self._over.set()

    def _send(self, recording: Any) -> None:
        self._connect(recording)
        sent, asked_at_s = RerunLog(recording), time.perf_counter()
        for tracked in self._waiting():
            frame, tracks = tracked.frame, tracked.tracks.seen_confirmed
            sent.write(frame.index, frame.time_ns, tracks, frame.image_bgr)
            self._written += 1
            if self._file is None and time.perf_counter() - asked_at_s > _ASK_EVERY_S:
                # Without an answer the SDK would keep all that comes in memory.
                recording.flush(timeout_sec=_ANSWER_S)
                asked_at_s = time.perf_counter()
        recording.flush(timeout_sec=_ANSWER_S if self._file is None else _END_S)

    def _connect(self, recording: Any) -> None:
        import rerun as rr

        if self._file is not None:
            recording.save(str(self._file.partial))
        elif self._target == SPAWN:
            # Beside the interpreter it is also found where the environment is not activated.
            viewer = shutil.which("rerun", path=str(Path(sys.executable).parent))
            rr.spawn(executable_path=viewer, hide_welcome_screen=True, recording=recording)
        else:
            recording.connect_grpc(self._target)

    def _waiting(self) -> Iterator[TrackedFrame]:
        """Frames until the channel is closed and empty."""
        while True:
            try:
                tracked = self._frames.get(_ASK_EVERY_S)
            except ChannelClosedError:
                return
            if tracked is not None:
                yield tracked
