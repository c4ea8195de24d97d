"""Standard input or a named pipe as a source."""

from __future__ import annotations

from pathlib import Path

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.sources.container import PIPES_TAKE, Container
from realtime_kp.sources.pipe import Pipe
from realtime_kp.sources.timestamps import Timed
from realtime_kp.sources.video import VideoSource


class PipeSource(VideoSource):
    """Frames of a video in a pipe, which is read once and waits for whoever is slower.

    The first frame that comes is at time 0. It is no live source: nothing is lost that is not read at once.

    Args:
        location: `-` or `stdin:` for standard input, or the path of a named pipe.
        start_s: Frames before this time are passed over.
        max_pixels: Largest number of pixels of a frame.
        stream: Number of the stream in the container; None for the largest picture that moves.

    Attributes:
        lost_at_s: None: a pipe that has ended does not return.
    """

    def __init__(
        self,
        location: str,
        *,
        start_s: float = 0.0,
        max_pixels: int = InputConfig().max_pixels,
        stream: int | None = None,
    ) -> None:
        super().__init__(Path(location), start_s=start_s, max_pixels=max_pixels, stream=stream)
        self.lost_at_s: float | None = None
        self._pipe: Pipe | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """Stop waiting for the pipe; may be called from any thread."""
        self._interrupted = True
        pipe = self._pipe
        if pipe is not None:
            pipe.interrupt()

    @property
    def _mend(self) -> str:
        return f"; {PIPES_TAKE}"

    def _opened(self) -> Container:
        if self._pipe is not None:
            raise SourceError(f"{self._pipe.name} can be read once only")
        self._pipe = Pipe(str(self.location))
        if self._interrupted:
            self._pipe.interrupt()
        try:
            return Container(self._pipe, self.limits)
        except BaseException as exc:
            self._pipe.close()
            if self._pipe.empty and isinstance(exc, SourceError):
                raise SourceError(f"{self._pipe.name} ended before anything came") from exc
            raise

    def _close(self) -> None:
        super()._close()
        if self._pipe is not None:
            self._pipe.close()

    def _first(self) -> Timed | None:
        return None

    def _seek(self) -> None:
        """A pipe cannot: what comes before the start is read and passed over."""

    def _origin_s(self) -> float | None:
        return None

    def _missing_bytes(self) -> int:
        return 0
