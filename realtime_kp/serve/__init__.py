"""The live view in browsers: a server with a thread of its own, and the page that it serves."""

from realtime_kp.serve.requests import Clicked, Dragged, KeyPressed, SettingChanged, ViewerRequest
from realtime_kp.serve.server import ViewServer, check_web
from realtime_kp.serve.view import Figures, LiveStatus, LiveView, PageSettings, Phase

__all__ = [
    "Clicked",
    "Dragged",
    "Figures",
    "KeyPressed",
    "LiveStatus",
    "LiveView",
    "PageSettings",
    "Phase",
    "SettingChanged",
    "ViewServer",
    "ViewerRequest",
    "check_web",
]
