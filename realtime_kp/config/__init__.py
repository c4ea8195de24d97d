"""All settings, defined once: the same frozen dataclasses serve the Python API, YAML files and flags."""

from realtime_kp.config.app import SECTIONS, AppConfig
from realtime_kp.config.calibration import CalibrateConfig
from realtime_kp.config.checks import config_or_keywords, parse_size
from realtime_kp.config.commands import (
    BenchConfig,
    LiveConfig,
    OutputConfig,
    ReportConfig,
    VideoConfig,
)
from realtime_kp.config.conversion import ConvertConfig
from realtime_kp.config.drawing import DrawConfig
from realtime_kp.config.exporting import ExportConfig
from realtime_kp.config.fleet import FleetConfig
from realtime_kp.config.input import Box, InputConfig
from realtime_kp.config.rendering import LAYERS, Colouring, Crowded, HudCorner, HudLines, RenderConfig, Trails
from realtime_kp.config.serving import AUTO_TOKEN, ServeConfig, is_loopback
from realtime_kp.config.stages import PipelineConfig, SuperPointConfig, TrackingConfig
from realtime_kp.config.training import EvaluateConfig, TrainConfig
from realtime_kp.config.yaml_file import dump_yaml, load_config, read_yaml

__all__ = [
    "AUTO_TOKEN",
    "LAYERS",
    "SECTIONS",
    "AppConfig",
    "BenchConfig",
    "Box",
    "CalibrateConfig",
    "Colouring",
    "ConvertConfig",
    "Crowded",
    "DrawConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FleetConfig",
    "HudCorner",
    "HudLines",
    "InputConfig",
    "LiveConfig",
    "OutputConfig",
    "PipelineConfig",
    "RenderConfig",
    "ReportConfig",
    "ServeConfig",
    "SuperPointConfig",
    "TrackingConfig",
    "Trails",
    "TrainConfig",
    "VideoConfig",
    "config_or_keywords",
    "dump_yaml",
    "is_loopback",
    "load_config",
    "parse_size",
    "read_yaml",
]
