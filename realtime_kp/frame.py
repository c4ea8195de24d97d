"""One frame of a source, with its index and timestamps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from realtime_kp.errors import ArgumentError
from realtime_kp.lens import Lens

# `(H, W)`, 0 where there must be neither keypoints nor tracks.
Mask = NDArray[np.uint8] | NDArray[np.bool_]


def check_image(image: object) -> None:
    """Check that something is an image as OpenCV reads it.

    Raises:
        ArgumentError: It is no `(H, W, 3) uint8` array, or it is empty.
    """
    if not isinstance(image, np.ndarray):
        got = repr(image) if image is None else f"a {type(image).__name__}"
        raise ArgumentError(f"an image must be an array, (H, W, 3) uint8 in BGR, got {got}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        hint = "; cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) makes BGR of grey" if image.ndim == 2 else ""
        raise ArgumentError(
            f"an image must be (H, W, 3) uint8 in BGR and not empty, got {image.shape} {image.dtype}{hint}"
        )


def check_mask(mask: object, image_bgr: NDArray[np.uint8]) -> None:
    """Check that something is a mask of an image, or None.

    Raises:
        ArgumentError: It is no `(H, W)` array of `uint8` or `bool` in the size of the image.
    """
    if mask is None:
        return
    if not isinstance(mask, np.ndarray) or mask.dtype not in (np.uint8, np.bool_):
        got = f"{mask.dtype}" if isinstance(mask, np.ndarray) else f"a {type(mask).__name__}"
        raise ArgumentError(f"a mask must be an array of uint8 or bool, got {got}")
    if mask.shape != image_bgr.shape[:2]:
        raise ArgumentError(
            f"a mask must have the size of its image, {image_bgr.shape[:2]}, got {mask.shape}"
        )


def masked_out(mask: Mask | None, xy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """`(N,) bool`: which positions lie on pixels where a mask is 0; those outside the picture do not.

    Args:
        mask: `(H, W)`; None masks nothing.
        xy: `(N, 2)`, pixels.
    """
    out = np.zeros(len(xy), np.bool_)
    if mask is not None and len(xy):
        height, width = mask.shape
        # NaN and far positions are nowhere in the picture.
        x, y = np.clip(np.nan_to_num(np.rint(xy), nan=-1), -1, max(width, height)).astype(np.intp).T
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        out[inside] = mask[y[inside], x[inside]] == 0
    return out


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as delivered by its source. The image must not be modified afterwards.

    Attributes:
        index: Position among the frames that the source delivered, from 0.
        time_s: Timestamp of the source in seconds, from 0 at the first frame that a file shows: presentation
            time for files, capture clock for cameras.
        captured_at_s: `time.perf_counter()` at capture; for paced sources the time the frame was due.
        image_bgr: `(H, W, 3) uint8`, channels blue, green, red as in OpenCV.
        origin: File of this frame if the source is a set of pictures; otherwise empty.
        session: Number of times a live source was reopened, or the clock of a file jumped, before this frame.
            Tracks do not continue across sessions.
        damaged: Whether the decoder says that parts of it are wrong; no track starts in such a frame.
        mask: `(H, W) uint8` or `bool`; where it is 0 there are neither keypoints nor tracks. None masks
            nothing.
        lens: The lens through which it was taken; None where it is not known.
        equalised_bgr: `(H, W, 3) uint8`, the picture with its brightness equalised, at which network and
            tracker look instead; None for none.
        stamp_ns: Time by the clock of a data set, such as since 1970, nanoseconds; None where there is none.
    """

    index: int
    time_s: float
    captured_at_s: float
    image_bgr: NDArray[np.uint8]
    origin: str = ""
    session: int = 0
    damaged: bool = False
    mask: Mask | None = None
    lens: Lens | None = None
    equalised_bgr: NDArray[np.uint8] | None = None
    stamp_ns: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.index, Integral) or self.index < 0:
            raise ArgumentError(f"a frame's index must be a whole number from 0, got {self.index!r}")
        if not isinstance(self.time_s, Real) or not math.isfinite(self.time_s):
            raise ArgumentError(f"a frame's time_s must be a finite number, got {self.time_s!r}")
        check_image(self.image_bgr)
        check_mask(self.mask, self.image_bgr)
        if self.equalised_bgr is not None and self.equalised_bgr.shape != self.image_bgr.shape:
            got, size = self.equalised_bgr.shape, self.image_bgr.shape
            raise ArgumentError(f"the equalised picture must have the size of the frame, {size}, got {got}")
        if self.lens is not None and self.lens.size_wh != self.size_wh:
            had, got = ("x".join(map(str, size)) for size in (self.lens.size_wh, self.size_wh))
            raise ArgumentError(f"the lens of a frame of {got} must be of that size, got {had}")

    @property
    def time_ns(self) -> int:
        """`stamp_ns`, else `time_s`, in nanoseconds."""
        return round(self.time_s * 1e9) if self.stamp_ns is None else self.stamp_ns

    @property
    def analysed_bgr(self) -> NDArray[np.uint8]:
        """The picture at which network and tracker look: the equalised one where there is one."""
        return self.image_bgr if self.equalised_bgr is None else self.equalised_bgr

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image_bgr.shape[1], self.image_bgr.shape[0]
