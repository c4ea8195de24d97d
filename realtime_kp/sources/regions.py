"""Masks and regions: where in the frames there may be keypoints and tracks."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import Box, InputConfig
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources.overlays import OverlayFinder
from realtime_kp.sources.picture_file import read_picture
from realtime_kp.sources.pictures import list_pictures

log = logging.getLogger(__name__)

Mask = NDArray[np.uint8]

_SAME_ASPECT = 0.02


class Regions:
    """Gives frames their masks, from the settings `mask`, `roi` and `ignore`.

    A mask is a picture in which black is masked out, as in COLMAP; or a folder with one for each frame, found
    by the name of the frame's file (`a.png` or `a.jpg.png` for `a.jpg`), else by the last number in its own
    name, which is that in the name of the frame's file, or the index of a frame of a video. It is scaled to
    the frame, nearest neighbour. Of several regions, what lies in one of them counts.

    Args:
        config: `mask`, `roi` and `ignore`.
    """

    def __init__(self, config: InputConfig) -> None:
        self._mask = config.mask
        self._boxes = config.regions
        self._overlays = OverlayFinder() if config.ignore == "overlays" else None
        self._files: dict[str | int | None, Path] | None = None
        self._made: tuple[tuple[object, ...], Mask] | None = None
        self._told_aspect = self._told_missing = False

    def on(self, frame: Frame, more: tuple[Box, ...] = ()) -> Frame:
        """The frame with its mask; as it is where nothing is masked.

        Args:
            frame: The frame.
            more: Further regions; those outside of the picture do not count.

        Raises:
            SourceError: The mask cannot be read, or hides everything.
            ConfigError: All regions lie outside the picture.
        """
        width, height = frame.size_wh
        # Those drawn onto larger frames must not end the run.
        boxes = self._boxes + tuple(box for box in more if box[0] < width and box[1] < height)
        overlay = None if self._overlays is None else self._overlays.overlay(frame)
        if self._mask is None and not boxes and overlay is None:
            return frame
        file = None if self._mask is None else self._file_of(frame, self._mask)
        made_of = (file, frame.size_wh, boxes)
        if self._made is None or self._made[0] != made_of:
            self._made = made_of, self._make(file, frame.size_wh, boxes)
        mask = self._made[1]
        return replace(frame, mask=mask if overlay is None else mask & (1 - overlay))

    def pass_over(self, frame: Frame) -> None:
        """Look at a frame that is not processed again, so that overlays are known as if it were."""
        if self._overlays is not None:
            self._overlays.overlay(frame)

    def _make(self, file: Path | None, size_wh: tuple[int, int], boxes: tuple[Box, ...]) -> Mask:
        mask = _in_boxes(boxes, size_wh)
        if file is not None:
            mask &= self._read(file, size_wh)
            # One of many frames may well be masked out as a whole.
            if file == self._mask and not mask.any():
                where = " within the regions" if boxes else ""
                raise SourceError(f"the mask {file} is black{where}: it leaves nothing to track")
        return mask

    def _read(self, file: Path, size_wh: tuple[int, int]) -> Mask:
        image = read_picture(file)
        height, width = image.shape[:2]
        if abs(width * size_wh[1] / (height * size_wh[0]) - 1) > _SAME_ASPECT and not self._told_aspect:
            self._told_aspect = True
            log.warning("the mask %s of %dx%d is stretched to frames of %dx%d", file, width, height, *size_wh)
        scaled = cv2.resize(image, size_wh, interpolation=cv2.INTER_NEAREST)
        return np.asarray(scaled.any(axis=2), np.uint8)

    def _file_of(self, frame: Frame, mask: Path) -> Path | None:
        """The file of a frame's mask; None where the folder holds none for it."""
        if not os.path.isdir(mask):
            return mask
        if self._files is None:
            self._files = _by_key(list_pictures(mask))
        origin = Path(frame.origin)
        number = _last_number(origin.stem) if frame.origin else frame.index
        keys: tuple[str | int | None, ...] = (origin.name, origin.stem, number)
        file = next((self._files[key] for key in keys if key in self._files), None)
        if file is None and not self._told_missing:
            self._told_missing = True
            name = origin.name or f"number {frame.index}"
            log.warning("%s holds no mask for some frames, such as %s: they are not masked", mask, name)
        return file


def _by_key(paths: list[Path]) -> dict[str | int | None, Path]:
    """Masks by what identifies the frame: the stem of their own name, and the last number in it."""
    found: dict[str | int | None, Path] = {}
    for path in paths:
        found[path.stem] = path
        number = _last_number(path.stem)
        if number is not None:
            found.setdefault(number, path)
    return found


def _last_number(stem: str) -> int | None:
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else None


def _in_boxes(boxes: tuple[Box, ...], size_wh: tuple[int, int]) -> Mask:
    width, height = size_wh
    if not boxes:
        return np.ones((height, width), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    for left, top, across, down in boxes:
        mask[top : top + down, left : left + across] = 1
    if not mask.any():
        raise ConfigError(f"roi: no region lies within the picture of {width}x{height} pixels")
    return mask
