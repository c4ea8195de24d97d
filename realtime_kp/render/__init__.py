"""Drawing of keypoints, tracks and HUD onto a frame."""

from realtime_kp.render.hud import HELP_LINES, HudInfo, draw_banner, draw_help, waiting_picture
from realtime_kp.render.overlay import render

__all__ = ["HELP_LINES", "HudInfo", "draw_banner", "draw_help", "render", "waiting_picture"]
