"""Folders of data sets: pictures with the times that a list beside them tells."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime_kp.errors import SourceError
from realtime_kp.sources.picture_times import LIST_SUFFIXES, Entry, read_list

log = logging.getLogger(__name__)

_TIMES = ("timestamps.txt", "timestamps.csv", "times.txt")
_SHOWN = ("data", "images", "image_2", "image_0")
_HEAD_BYTES = 4096
_FAR_APART_S = 600.0
_CAMERA = re.compile(r"(cam|image_)\d+")


@dataclass(frozen=True, slots=True)
class TimedPicture:
    """A picture of a data set.

    Attributes:
        path: Its file, which may be missing.
        stamp_ns: Its time by the clock of the data set, nanoseconds.
    """

    path: Path
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class TimedPictures:
    """The pictures of a data set.

    Attributes:
        pictures: The pictures, in the order of their times, which grow.
        remarks: What has to be said of them: what is missing, was sorted, or left out.
    """

    pictures: tuple[TimedPicture, ...]
    remarks: tuple[str, ...]


def timed_pictures(location: Path, pictures_of: Callable[[Path], list[Path]]) -> TimedPictures | None:
    """The pictures of a data set in the order of their times.

    These are known, by their files or the folders that hold them:

    - EuRoC and ASL: `mav0/cam0/data.csv` with the pictures in `data` (EuRoC MAV data set);
    - TUM RGB-D: `rgb.txt` (its page on file formats);
    - KITTI: `times.txt` above `image_0` or `image_2` (odometry), `timestamps.txt` above `data` (raw data);
    - any folder of pictures with `timestamps.txt` or `timestamps.csv`: times, in the order of the pictures'
      names or with them.

    Args:
        location: A folder, or a list.
        pictures_of: Gives the pictures in a folder in natural order of their names.

    Returns:
        The pictures; None where a folder holds no list.

    Raises:
        SourceError: A list cannot be read, or has no picture.
    """
    listed = location if location.is_file() else _list_in(location)
    if listed is None:
        return None
    entries = read_list(listed)
    named = [entry for entry in entries if entry.name]
    if named and len(named) < len(entries):
        raise SourceError(f"{listed} names pictures in some of its lines only")
    remarks: list[str] = []
    if named:
        found = _by_name(listed, entries, remarks)
    else:
        found = _in_order(listed, location, entries, pictures_of, remarks)
    return TimedPictures(_in_time(listed, found, remarks), tuple(remarks))


def is_picture_list(path: Path) -> bool:
    """Whether a file is a list by its name, and is text."""
    if path.suffix.lower() not in LIST_SUFFIXES:
        return False
    try:
        with open(path, "rb") as file:
            return b"\0" not in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _list_in(folder: Path) -> Path | None:
    """The list that tells the times of a folder's pictures; None where there is none."""
    for root in (folder / "mav0", folder):
        cameras = sorted(path.parent for path in root.glob("cam*/data.csv"))
        if cameras:
            if len(cameras) > 1:
                others = ", ".join(str(camera) for camera in cameras[1:])
                log.info("%s is taken; others are %s", cameras[0], others)
            return cameras[0] / "data.csv"
    beside = [folder / "data.csv"] if (folder / "data").is_dir() else []
    if folder.name == "data":
        beside += [folder.parent / name for name in ("data.csv", *_TIMES)]
    if _CAMERA.fullmatch(folder.name):
        beside.append(folder.parent / "times.txt")
    if folder.name == "rgb":
        beside.append(folder.parent / "rgb.txt")
    beside += sorted(folder.glob("image_0[0-3]/timestamps.txt"), reverse=True)[-1:]
    here = [folder / "rgb.txt", *(folder / name for name in _TIMES)]
    return next((path for path in (*here, *beside) if path.is_file()), None)


def _by_name(listed: Path, entries: list[Entry], remarks: list[str]) -> list[TimedPicture]:
    """Pictures by the names in the list, which are relative to it, or to `data` beside it."""
    folders = [listed.parent, listed.parent / "data"]
    found = []
    for entry in entries:
        assert entry.name is not None
        places = [folder / entry.name for folder in folders]
        usual = places[-1] if folders[-1].is_dir() else places[0]
        found.append(TimedPicture(next(filter(os.path.isfile, places), usual), entry.time_ns))
    missing = [picture.path for picture in found if not picture.path.is_file()]
    if len(missing) == len(found):
        raise SourceError(f"none of the {len(found)} pictures of {listed} is there, such as {missing[0]}")
    if missing:
        remarks.append(
            f"{len(missing)} of the {len(found)} pictures of {listed} are missing, such as {missing[0]}"
        )
    return found


def _in_order(
    listed: Path,
    location: Path,
    entries: list[Entry],
    pictures_of: Callable[[Path], list[Path]],
    remarks: list[str],
) -> list[TimedPicture]:
    """Pictures in the order of their names, for a list of times alone."""
    folders = [location] if location.is_dir() else []
    folders += [listed.parent / name for name in _SHOWN] + [listed.parent]
    for folder in folders:
        try:
            pictures = pictures_of(folder) if folder.is_dir() else []
        except SourceError:
            continue
        if pictures:
            break
    else:
        raise SourceError(f"{listed} tells times, but there are no pictures beside it")
    if len(pictures) != len(entries):
        remarks.append(
            f"{listed} holds {len(entries)} times, {folder} {len(pictures)} pictures: what has no other is "
            "left out"
        )
    return [TimedPicture(path, entry.time_ns) for path, entry in zip(pictures, entries, strict=False)]


def _in_time(listed: Path, pictures: list[TimedPicture], remarks: list[str]) -> tuple[TimedPicture, ...]:
    ordered = sorted(pictures, key=lambda picture: picture.stamp_ns)
    if ordered != pictures:
        remarks.append(f"{listed} is not in the order of its times: it is sorted")
    kept = [ordered[0]]
    for picture in ordered[1:]:
        if picture.stamp_ns > kept[-1].stamp_ns:
            kept.append(picture)
    if len(kept) < len(ordered):
        twice = len(ordered) - len(kept)
        remarks.append(f"{listed} holds {twice} pictures with the time of another one: left out")
    stamps_ns = [picture.stamp_ns for picture in kept]
    step_s = float(np.median(np.diff(stamps_ns))) / 1e9 if len(kept) > 1 else 0.0
    if step_s > _FAR_APART_S:
        remarks.append(
            f"the pictures of {listed} are {step_s:.0f} s apart: if that is wrong, name the unit of its "
            "times in a heading such as timestamp [ns]"
        )
    return tuple(kept)
