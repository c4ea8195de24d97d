"""What a user changes while the pipeline runs: one frozen message, replaced as a whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Controls:
    """Settings that take effect with the next frame.

    Attributes:
        paused: No new frames are taken; live sources are drained meanwhile.
        keypoint_threshold: Instead of the configured one; None leaves it.
    """

    paused: bool = False
    keypoint_threshold: float | None = None
