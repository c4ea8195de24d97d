"""Every setting, once: the same frozen dataclasses are the Python API, the YAML files and the flags."""

from realtime_kp.config.app import SECTIONS, AppConfig
from realtime_kp.config.stages import (
    LAYERS,
    BenchConfig,
    InputConfig,
    LiveConfig,
    OutputConfig,
    PipelineConfig,
    RenderConfig,
    ReportConfig,
    SuperPointConfig,
    TrackingConfig,
    VideoConfig,
    parse_size,
)
from realtime_kp.config.yaml_file import load_config, read_yaml

__all__ = [
    "LAYERS",
    "SECTIONS",
    "AppConfig",
    "BenchConfig",
    "InputConfig",
    "LiveConfig",
    "OutputConfig",
    "PipelineConfig",
    "RenderConfig",
    "ReportConfig",
    "SuperPointConfig",
    "TrackingConfig",
    "VideoConfig",
    "load_config",
    "parse_size",
    "read_yaml",
]
