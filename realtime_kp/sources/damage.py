"""What was found wrong with a video while it was read."""

from __future__ import annotations

from dataclasses import dataclass

_EARLY_END_S = 1.0
_EARLY_END_SHARE = 0.02
_HOLE_S, _HOLE_FRAMES = 0.5, 10
_LIKELY = 1.25


@dataclass(slots=True)
class Damage:
    """Counts of what is wrong.

    Attributes:
        undecodable: Packets that the decoder refuses.
        incomplete: Packets of which the container says that parts are missing. A joint of two transport
            streams counts as one as well: alone they tell nothing.
        missing: Pictures that others refer to and that never came, where the stream numbers them.
        frames: Frames of which the decoder says that parts are wrong.
        pauses_s: Time between frames that are far apart, in all: a hole where something else is wrong too, a
            pause of the recording where nothing is.
        missing_bytes: How many bytes the file lacks of what its headers declare.
        missing_segments: How many files are missing that a playlist names.
        stopped: Why reading stopped early; empty where it did not.
    """

    undecodable: int = 0
    incomplete: int = 0
    missing: int = 0
    frames: int = 0
    pauses_s: float = 0.0
    missing_bytes: int = 0
    missing_segments: int = 0
    stopped: str = ""

    def restart(self) -> None:
        """Forget what was counted so far."""
        self.undecodable = self.incomplete = self.missing = self.frames = 0
        self.pauses_s = 0.0

    def note_gap(self, gap_s: float, fps: float | None) -> None:
        """Note the time between two frames, where it is far beyond the nominal one."""
        if gap_s > max(_HOLE_S, _HOLE_FRAMES / (fps or 30.0)):
            self.pauses_s += gap_s

    def describe(
        self, name: str, decoded: int, declared: int | None, came_s: float, whole_s: float | None
    ) -> str | None:
        """One line for the user; None where nothing is wrong.

        Args:
            name: Of the video.
            decoded: Number of its frames that came.
            declared: Number of frames that it declares; None where it declares none.
            came_s: Time from its first frame to the end of the last one that came.
            whole_s: Time from its first frame to its declared end; None where none is declared.
        """
        details = []
        hole_s = self.pauses_s if self.incomplete or self.frames or self.undecodable else 0.0
        if self.frames:
            details.append(f"{self.frames} of them damaged")
        if self.undecodable:
            details.append(f"{self.undecodable} packets could not be decoded")
        if self.missing:
            details.append(f"at least {self.missing} missing between others")
        if self.missing_bytes:
            details.append(f"the file is cut short, {self.missing_bytes} bytes are missing")
        if self.missing_segments:
            details.append(f"{self.missing_segments} segments of the playlist are missing")
        if hole_s:
            details.append(f"none for {hole_s:.1f} s")
        if self.stopped:
            details.append(f"reading stopped early: {self.stopped}")
        # Frame counts in headers are unreliable, the last timestamp is not.
        whole_s = came_s if whole_s is None else whole_s
        early = whole_s - came_s > max(_EARLY_END_S, _EARLY_END_SHARE * whole_s)
        if not early and not details:
            return None
        filled_s = came_s - hole_s
        about = round(decoded * max(whole_s, came_s) / filled_s) if filled_s > 0 else decoded
        about += self.missing
        if declared is not None and declared <= _LIKELY * about:
            about = max(about, declared)
        detail = f" ({', '.join(details)})" if details else ""
        return f"{name} is damaged: decoded {decoded} of about {max(about, decoded + early)} frames{detail}"
