"""Drawing of keypoints, tracks and HUD onto a frame."""

from realtime_kp.render.board import draw_board, draw_coverage
from realtime_kp.render.colours import id_rgb
from realtime_kp.render.heat import HeatMap
from realtime_kp.render.hud import HELP_LINES, HudInfo, draw_banner, draw_help, draw_panel, waiting_picture
from realtime_kp.render.look import Look, colours_of, uncrowded
from realtime_kp.render.motion_compensation import compensate_motion
from realtime_kp.render.overlay import draw_drag, draw_regions, render
from realtime_kp.render.straighten import Straightener

__all__ = [
    "HELP_LINES",
    "HeatMap",
    "HudInfo",
    "Look",
    "Straightener",
    "colours_of",
    "compensate_motion",
    "draw_banner",
    "draw_board",
    "draw_coverage",
    "draw_drag",
    "draw_help",
    "draw_panel",
    "draw_regions",
    "id_rgb",
    "render",
    "uncrowded",
    "waiting_picture",
]
