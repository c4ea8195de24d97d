"""What the threads of one run hand to each other and share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, TrackedFrame
from realtime_kp.pipeline.channel import Channel, ChannelClosedError
from realtime_kp.pipeline.controls import Controls
from realtime_kp.pipeline.gate import Gate
from realtime_kp.sources import SourceInfo
from realtime_kp.timing import StageStarts, StageTimes


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame on its way to the network."""

    frame: Frame
    grab_at_s: float
    grab_ms: float
    put_at_s: float


@dataclass(frozen=True, slots=True)
class Detected:
    """A frame on its way to the tracker; keypoints are None where the network did not look."""

    frame: Frame
    keypoints: Keypoints | None
    times_ms: StageTimes
    starts: StageStarts
    put_at_s: float


class Shared:
    """What the threads of one run share: the wish to stop, the first failure, the user's controls.

    Attributes:
        stop: Set when the run is to end.
        ready: Set when the network is loaded and warmed up, or the run ends.
        opened: Set when the source is open, or the run ends.
        failure: The first exception of any thread.
        info: What is known of the source, once it is open.
        controls: What the user wants now.
        gate: Where the capture thread waits while paused.
        read: Frames that the source delivered.
        discarded_paused: Frames of a live source that came while paused.
        damage: What the source could not read.
        limited: Whether reading stopped at the number of frames asked for.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.ready = threading.Event()
        self.opened = threading.Event()
        self.gate = Gate()
        self.failure: BaseException | None = None
        self.info: SourceInfo | None = None
        self.controls = Controls()
        self.read = 0
        self.discarded_paused = 0
        self.damage: str | None = None
        self.limited = False
        self._lock = threading.Lock()
        self._wakes: list[Callable[[], None]] = []
        self._channels: list[Channel[Captured] | Channel[Detected] | Channel[TrackedFrame]] = []

    def at_end(self, wake: Callable[[], None]) -> None:
        """Call this when the run ends, to wake what waits where no channel or event is."""
        self._wakes.append(wake)

    def watch(self, *channels: Channel[Captured] | Channel[Detected] | Channel[TrackedFrame]) -> None:
        """Close these channels when the run ends."""
        self._channels += channels

    def fail(self, error: BaseException) -> None:
        """Note a thread's exception, the first one counts, and end the run."""
        with self._lock:
            if self.failure is None:
                self.failure = error
        self.end()

    def end(self) -> None:
        """Wake everybody and let the threads run out."""
        self.stop.set()
        self.ready.set()
        self.opened.set()
        self.gate.release()
        for wake in self._wakes:
            wake()
        for channel in self._channels:
            channel.close(discard=True)


def start_thread(name: str, body: Callable[[], None], shared: Shared) -> threading.Thread:
    """Run a worker; its exception ends the run and is kept."""

    def run() -> None:
        try:
            body()
        except ChannelClosedError:
            pass
        except BaseException as exc:
            shared.fail(exc)

    thread = threading.Thread(target=run, name=f"realtime-kp-{name}", daemon=True)
    thread.start()
    return thread
