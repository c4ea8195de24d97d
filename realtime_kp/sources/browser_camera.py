"""The camera of a visitor: pictures that a browser sends."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import InputConfig
from realtime_kp.frame import Frame
from realtime_kp.sources.base import SourceInfo

log = logging.getLogger(__name__)

NAME = "browser"
_JPEG_START = b"\xff\xd8\xff"
_OLDEST_S = 2.0


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture as it was sent.

    Attributes:
        jpeg: The file.
        captured_at_s: When it was taken, on the clock of `time.perf_counter`.
    """

    jpeg: bytes
    captured_at_s: float


class BrowserCamera:
    """Where pictures of a visitor arrive and wait to be read; the newest one replaces one that waits.

    All methods may be called from any thread.

    Attributes:
        refused: Number of messages that were no pictures.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._changed = threading.Condition()
        self._newest: SentPicture | None = None
        self._closed = False

    def push(self, jpeg: bytes, captured_at_s: float) -> bool:
        """Take in a picture.

        Args:
            jpeg: A JPEG file.
            captured_at_s: When it was taken, on the clock of `time.perf_counter`; a time that is not within
                the last two seconds is replaced by now.

        Returns:
            Whether it looks like a JPEG file.
        """
        now_s = time.perf_counter()
        if not jpeg.startswith(_JPEG_START):
            self.refuse()
            return False
        plausible = now_s - _OLDEST_S <= captured_at_s <= now_s
        with self._changed:
            self._newest = SentPicture(jpeg, captured_at_s if plausible else now_s)
            self._changed.notify_all()
        return True

    def refuse(self) -> None:
        """Count something that is no picture."""
        with self._changed:
            self.refused += 1

    def take(self, timeout_s: float) -> SentPicture | None:
        """The newest picture that was not taken yet, waiting for one; None after the time-out or `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newest is not None, timeout_s)
            newest, self._newest = self._newest, None
            return None if self._closed else newest

    def close(self) -> None:
        """Wake whoever waits; nothing is taken from here any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed


class BrowserSource:
    """Frames of a visitor's camera; waits for the first one as long as it takes.

    `time_s` counts from the first frame on the clock of capture. After a pause longer than the time-out the
    next frame begins a new `session`.

    Args:
        camera: Where pictures arrive.
        config: `timeout_s` after which the camera counts as lost, and the limit of pixels.

    Attributes:
        damage: How many pictures could not be read; None where there were none.
        lost_at_s: `time.perf_counter()` of the last frame, where none came for the time-out; else None.
    """

    def __init__(self, camera: BrowserCamera, config: InputConfig | None = None) -> None:
        self._camera = camera
        self._config = config or InputConfig()
        self.damage: str | None = None
        self.lost_at_s: float | None = None

    @property
    def info(self) -> SourceInfo:
        """Its properties; size and rate are those that the browser chooses."""
        return SourceInfo(NAME, None, None, None, live=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._camera.close()

    def interrupt(self) -> None:
        """Stop waiting; may be called from any thread."""
        self._camera.close()

    def __iter__(self) -> Iterator[Frame]:
        index, session, refused = 0, 0, 0
        first_at_s: float | None = None
        last_at_s: float | None = None
        while not self._camera.closed:
            sent = self._camera.take(self._config.timeout_s)
            if sent is None:
                if self.lost_at_s is None and last_at_s is not None and not self._camera.closed:
                    self.lost_at_s, session = last_at_s, session + 1
                    log.warning("the camera of the browser has stopped sending pictures")
                continue
            image = decoded(sent.jpeg, self._config.max_pixels)
            if image is None:
                refused += 1
                self.damage = f"{refused} pictures of the browser could not be read"
                continue
            self.lost_at_s = None
            # Pictures may overtake each other on their way; time does not run backwards.
            at_s = sent.captured_at_s if last_at_s is None else max(sent.captured_at_s, last_at_s + 1e-6)
            last_at_s = at_s
            first_at_s = at_s if first_at_s is None else first_at_s
            yield Frame(index, at_s - first_at_s, at_s, image, session=session)
            index += 1


def decoded(jpeg: bytes, max_pixels: int) -> NDArray[np.uint8] | None:
    """The picture of a JPEG file, `(H, W, 3) uint8`, BGR; None for no JPEG, and for too many pixels."""
    from PIL import Image

    try:
        # Only the header is read here: a few bytes may declare a picture that would fill the memory.
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as header:
            if header.width * header.height > max_pixels:
                return None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image is None else np.asarray(image, np.uint8)
