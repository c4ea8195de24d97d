"""Messages between the threads of a run, and their shared state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, TrackedFrame
from realtime_kp.pipeline.channel import Channel, ChannelClosedError
from realtime_kp.pipeline.controls import Controls
from realtime_kp.pipeline.gate import Gate
from realtime_kp.reference import DescribedReference
from realtime_kp.sources import SourceInfo
from realtime_kp.timing import StageStarts, StageTimes


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured frame, not yet processed; times in seconds of `time.perf_counter`."""

    frame: Frame
    grab_at_s: float
    grab_ms: float
    put_at_s: float


@dataclass(frozen=True, slots=True)
class Detected:
    """A frame that passed the inference thread; `keypoints` is None if the network skipped it."""

    frame: Frame
    keypoints: Keypoints | None
    times_ms: StageTimes
    starts: StageStarts
    put_at_s: float


class Shared:
    """State shared by the threads of one run.

    Attributes:
        stop: Set when the run is to end.
        ready: Set when the network is loaded and warmed up, or the run ends.
        opened: Set when the source is open, or the run ends.
        failure: The first exception of any thread.
        lost: Why the source failed after its first frame; raised after the frames that came before.
        info: Properties of the source; None until it is open.
        controls: Current settings of the user.
        reference: The reference picture with its keypoints; None without one, or until it has them.
        reference_refusal: Why a reference picture is not used, until it is told.
        gate: Holds back the capture thread while paused.
        read: Number of frames delivered by the source.
        discarded_paused: Number of frames of a live source discarded while paused.
        damage: Description of unreadable input; None if there was none.
        limited: Whether reading stopped at `max_frames`.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.ready = threading.Event()
        self.opened = threading.Event()
        self.gate = Gate()
        self.failure: BaseException | None = None
        self.lost: SourceError | None = None
        self.info: SourceInfo | None = None
        self.controls = Controls()
        self.reference: DescribedReference | None = None
        self.reference_refusal = ""
        self.read = 0
        self.discarded_paused = 0
        self.damage: str | None = None
        self.limited = False
        self._lock = threading.Lock()
        self._wake_callbacks: list[Callable[[], None]] = []
        self._channels: list[Channel[Captured] | Channel[Detected] | Channel[TrackedFrame]] = []

    def on_end(self, wake: Callable[[], None]) -> None:
        """Register a callback for the end of the run, to wake a thread that waits on no channel or event."""
        self._wake_callbacks.append(wake)

    def close_on_end(self, *channels: Channel[Captured] | Channel[Detected] | Channel[TrackedFrame]) -> None:
        """Register channels to close when the run ends."""
        self._channels += channels

    def fail(self, error: BaseException) -> None:
        """Record the exception of a thread, unless there is an earlier one, and end the run."""
        with self._lock:
            if self.failure is None:
                self.failure = error
        self.end()

    def end(self) -> None:
        """End the run: wake all waiting threads and discard what is queued."""
        self.stop.set()
        self.ready.set()
        self.opened.set()
        self.gate.release()
        for wake in self._wake_callbacks:
            wake()
        for channel in self._channels:
            channel.close(discard=True)


def start_thread(name: str, body: Callable[[], None], shared: Shared) -> threading.Thread:
    """Start a thread that runs `body`; an exception is recorded in `shared` and ends the run."""

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
