"""What is drawn, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, require

LAYERS = ("keypoints", "tracks", "hud")
Colouring = Literal["birth", "id", "age", "speed", "confidence"]
Trails = Literal["fade", "plain", "none"]
Crowded = Literal["thin", "all"]
HudLines = Literal["line", "full"]
HudCorner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """What is drawn."""

    draw: Annotated[str, Parameter(name=["--draw", "draw"])] = "keypoints,tracks,hud"
    """Layers, separated by commas: keypoints, tracks, hud; none leaves the frame unchanged."""

    trail_length: Annotated[int, Parameter(name=["--trail-length", "trail-length"])] = 20
    """Number of past positions in the drawn trail of a track."""

    colour: Annotated[Colouring, Parameter(name=["--colour", "colour"])] = "birth"
    """Colours tell where a track was born (neighbours are alike), or its id, age, speed or confidence."""

    trails: Annotated[Trails, Parameter(name=["--trails", "trails"])] = "fade"
    """Trails fade with age, are plain lines, or none are drawn."""

    crowded: Annotated[Crowded, Parameter(name=["--crowded", "crowded"])] = "thin"
    """thin: where tracks are crowded, most of them are small dots; all: every trail is drawn."""

    hud: Annotated[HudLines, Parameter(name=["--hud", "hud"])] = "line"
    """line: the most important figures; full: all of them."""

    hud_at: Annotated[HudCorner, Parameter(name=["--hud-at", "hud-at"])] = "top-left"
    """Corner of the figures: top-left, top-right, bottom-left or bottom-right."""

    undistort: Annotated[bool, Parameter(name=["--undistort", "undistort"], negative="")] = False
    """Show and write the picture straightened by the lens of --camera; tables keep pixels of the source."""

    def __post_init__(self) -> None:
        check_types(self)
        unknown = self.layers - set(LAYERS)
        require(not unknown, f"draw takes {', '.join(LAYERS)} or none", self.draw)
        check_look(self.trail_length, self.colour, self.trails, self.crowded)
        require_choice("hud", HudLines, self.hud)
        require_choice("hud_at", HudCorner, self.hud_at)

    @property
    def layers(self) -> frozenset[str]:
        """The layers to draw."""
        names = frozenset(name.strip() for name in self.draw.split(","))
        return names - {"none", ""}


def check_look(trail_length: int, colour: str, trails: str, crowded: str) -> None:
    """Check how tracks are to be drawn.

    Raises:
        ConfigError: A value is impossible.
    """
    require(1 <= trail_length <= 1000, "trail_length must be 1 to 1000", trail_length)
    require_choice("colour", Colouring, colour)
    require_choice("trails", Trails, trails)
    require_choice("crowded", Crowded, crowded)


def require_choice(name: str, kind: Any, value: object) -> None:
    """Check that a setting has one of the values of a `Literal`.

    Raises:
        ConfigError: It has another one.
    """
    choices = get_args(kind)
    require(value in choices, f"{name} must be one of {', '.join(choices)}", value)
