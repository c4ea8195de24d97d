"""How saved tracks are drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, require
from realtime_kp.config.rendering import Colouring, Crowded, Trails, check_look


@dataclass(frozen=True, slots=True)
class DrawConfig:
    """How saved tracks are drawn, and where."""

    tracks: Annotated[Path, Parameter(name="--tracks")]
    """The table of the tracks, as --tracks of video writes it: .csv, .jsonl or .parquet."""

    output: Annotated[Path, Parameter(name=["--output", "-o"])]
    """The annotated video, .mp4 or .gif; without a suffix a folder for PNG pictures."""

    beside: Annotated[Path | None, Parameter(name="--beside")] = None
    """Another table of the same video, drawn on the right of the first one."""

    trail_length: Annotated[int, Parameter(name="--trail-length")] = 20
    """Number of past positions in the drawn trail of a track."""

    colour: Annotated[Colouring, Parameter(name="--colour")] = "birth"
    """Colours tell where a track was born (neighbours are alike), or its id, age, speed or confidence."""

    trails: Annotated[Trails, Parameter(name="--trails")] = "fade"
    """Trails fade with age, are plain lines, or none: points only."""

    crowded: Annotated[Crowded, Parameter(name="--crowded")] = "thin"
    """thin: where tracks are crowded, most of them are small dots; all: every trail is drawn."""

    heat: Annotated[bool, Parameter(name="--heat", negative="")] = False
    """Instead of tracks, draw how many of them have been where so far."""

    background: Annotated[Literal["video", "black"], Parameter(name="--background")] = "video"
    """What is behind the tracks: the video, or black."""

    min_length: Annotated[int, Parameter(name="--min-length")] = 1
    """Leave out tracks that were seen in fewer frames."""

    speed: Annotated[float, Parameter(name="--speed")] = 1.0
    """Speed of the video: 0.25 is slow motion."""

    crf: Annotated[int, Parameter(name="--crf")] = 20
    """H.264 constant rate factor, 0 (lossless) to 51; lower means better quality and larger files."""

    overwrite: Annotated[bool, Parameter(name="--overwrite")] = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.background in ("video", "black"), "background must be video or black", self.background)
        check_look(self.trail_length, self.colour, self.trails, self.crowded)
        require(self.min_length >= 1, "min_length must be at least 1", self.min_length)
        require(0.01 <= self.speed <= 100, "speed must be 0.01 to 100", self.speed)
        require(0 <= self.crf <= 51, "crf must be 0 to 51", self.crf)
