"""All export formats by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from realtime_kp.exports.after_effects import AfterEffectsExport
from realtime_kp.exports.base import FileExport, FolderExport
from realtime_kp.exports.blender import BlenderExport
from realtime_kp.exports.colmap import ColmapExport
from realtime_kp.exports.equalizer import EqualizerExport
from realtime_kp.exports.mcap_bag import McapExport
from realtime_kp.exports.nuke import NukeExport
from realtime_kp.exports.rerun_file import RerunExport
from realtime_kp.exports.tapvid import TapVidExport
from realtime_kp.exports.vot import VotExport

FORMATS: Mapping[str, Callable[[], FileExport | FolderExport]] = {
    "colmap": ColmapExport,
    "nuke": NukeExport,
    "3de": EqualizerExport,
    "blender": BlenderExport,
    "after-effects": AfterEffectsExport,
    "tapvid": TapVidExport,
    "vot": VotExport,
    "mcap": McapExport,
    "rerun": RerunExport,
}
