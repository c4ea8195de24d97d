"""The thread that encodes pictures for viewers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.serve.picture import Picture, PictureKind, Variant
from realtime_kp.serve.view import LiveView
from realtime_kp.sinks.h264_packets import H264Packets

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]

MARK_BITS, MARK_PX = 16, 16
_LONGEST_SIDE_PX = 1920
_BETWEEN_KEYS_S = 0.5
_WAIT_S = 1.0
_JPEG_QUALITY = 80
_CRF = 23
_PIXELS_OF_ONE_THREAD = 1280 * 720


class PictureEncoder:
    """Encodes the newest frame in each way that somebody watches; without viewers it sleeps.

    A frame that comes while the one before is encoded or handed over replaces one that waits.

    Args:
        deliver: Takes each picture, on the thread of the encoder.

    Attributes:
        encoding_s: Seconds of CPU that encoding has taken, its conversion of colours included.
        thread_s: Seconds of CPU of the whole thread.
    """

    def __init__(self, deliver: Callable[[Picture], None]) -> None:
        self._deliver = deliver
        self._changed = threading.Condition()
        self._view: LiveView | None = None
        self._fresh = False
        self._wanted: frozenset[PictureKind] = frozenset()
        self._keys_wanted: set[PictureKind] = set()
        self._key_at_s: dict[PictureKind, float] = {}
        self._h264: dict[Variant, tuple[tuple[int, int], H264Packets]] = {}
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="realtime-kp encode", daemon=True)
        self.encoding_s = 0.0
        self.thread_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(10.0)

    def show(self, view: LiveView) -> None:
        """Take the newest frame; may be called from any thread, and never waits."""
        with self._changed:
            self._view, self._fresh = view, True
            self._changed.notify_all()

    def want(self, kinds: Iterable[PictureKind]) -> None:
        """Tell which pictures somebody watches; may be called from any thread."""
        with self._changed:
            self._wanted = frozenset(kinds)
            self._keys_wanted &= self._wanted
            self._changed.notify_all()

    def ask_for_key(self, kind: PictureKind) -> None:
        """Ask for a picture that can be decoded alone; of frames that stand still, for the last one again."""
        with self._changed:
            self._keys_wanted.add(kind)
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._has_work(), self._wait_s())
                if self._stopped:
                    return
                if not self._has_work():
                    continue
                view, kinds = self._view, self._due()
                self._fresh = False
                keys = {kind for kind in self._keys_wanted.intersection(kinds) if self._key_in_s(kind) <= 0}
                self._keys_wanted -= keys
            assert view is not None
            for kind in kinds:
                picture = self._encoded(view, kind, kind in keys)
                if picture is not None:
                    self._deliver(picture)
            self.thread_s = time.thread_time()

    def _has_work(self) -> bool:
        return self._view is not None and bool(self._due())

    def _due(self) -> list[PictureKind]:
        """Which pictures to make now: all of a fresh frame, else those of which a key frame is due."""
        if self._fresh:
            return sorted(self._wanted)
        return sorted(kind for kind in self._wanted & self._keys_wanted if self._key_in_s(kind) <= 0)

    def _key_in_s(self, kind: PictureKind) -> float:
        return self._key_at_s.get(kind, -_BETWEEN_KEYS_S) + _BETWEEN_KEYS_S - time.monotonic()

    def _wait_s(self) -> float:
        due = [self._key_in_s(kind) for kind in self._keys_wanted & self._wanted]
        return max(0.0, min([_WAIT_S, *due]))

    def _encoded(self, view: LiveView, kind: PictureKind, key: bool) -> Picture | None:
        started_s = time.thread_time()
        try:
            image = self._image(view, kind.variant)
            if kind.codec == "jpeg":
                _, coded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
                data, is_key = coded.tobytes(), True
            else:
                data, is_key = self._packet(image, kind, key)
        except (av.FFmpegError, cv2.error) as exc:
            log.warning("a frame cannot be encoded for viewers: %s", exc)
            self._h264.pop(kind.variant, None)
            return None
        finally:
            self.encoding_s += time.thread_time() - started_s
        frame = view.tracked.frame
        return Picture(kind, frame.index, frame.captured_at_s, frame.size_wh, is_key, data)

    def _packet(self, image: Image, kind: PictureKind, key: bool) -> tuple[bytes, bool]:
        size_wh = (image.shape[1], image.shape[0])
        known = self._h264.get(kind.variant)
        if known is None or known[0] != size_wh:
            # Several threads wait for each other on busy cores.
            threads = 1 if size_wh[0] * size_wh[1] <= _PIXELS_OF_ONE_THREAD else 0
            known = (size_wh, H264Packets(crf=_CRF, preset="superfast", key_frame_every=60, threads=threads))
            self._h264[kind.variant] = known
        data = known[1].packet(image, key=key)
        if known[1].key:
            self._key_at_s[kind] = time.monotonic()
        return data, known[1].key

    def _image(self, view: LiveView, variant: Variant) -> Image:
        image = view.tracked.frame.image_bgr
        if variant == "drawn" and view.drawn_bgr is not None:
            image = view.drawn_bgr
        elif variant == "marked":
            image = marked(image, view.tracked.frame.index)
        shrink = _LONGEST_SIDE_PX / max(image.shape[:2])
        if shrink >= 1:
            return image
        size_wh = (max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink)))
        return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def marked(image_bgr: Image, number: int) -> Image:
    """A copy of a picture with a number in black and white squares along its top edge, lowest bit first.

    Args:
        image_bgr: `(H, W, 3)`, at least 256 pixels wide.
        number: Its lowest 16 bits are drawn.
    """
    image = image_bgr.copy()
    bits = number >> np.arange(MARK_BITS) & 1
    row = np.repeat(bits * 255, MARK_PX)[: image.shape[1]]
    image[:MARK_PX, : len(row)] = row[np.newaxis, :, np.newaxis]
    return image
