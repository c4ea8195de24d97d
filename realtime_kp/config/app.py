"""The complete configuration, and the sections that each command reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from realtime_kp.config.checks import check_types
from realtime_kp.config.commands import (
    BenchConfig,
    LiveConfig,
    OutputConfig,
    ReportConfig,
    VideoConfig,
)
from realtime_kp.config.fleet import FleetConfig
from realtime_kp.config.input import InputConfig
from realtime_kp.config.rendering import RenderConfig
from realtime_kp.config.serving import ServeConfig
from realtime_kp.config.stages import PipelineConfig, SuperPointConfig, TrackingConfig


@dataclass(frozen=True, slots=True)
class AppConfig:
    """All configuration sections. `SECTIONS` lists those of each command, as does its file in `configs/`."""

    superpoint: SuperPointConfig = field(default_factory=SuperPointConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    render: RenderConfig = field(default_factory=RenderConfig)
    input: InputConfig = field(default_factory=InputConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    browser: ServeConfig = field(default_factory=ServeConfig)
    video: VideoConfig = field(default_factory=VideoConfig)
    fleet: FleetConfig = field(default_factory=FleetConfig)
    bench: BenchConfig = field(default_factory=BenchConfig)

    def __post_init__(self) -> None:
        check_types(self)

    def to_dict(self, sections: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Convert the settings to nested built-in values; paths become strings.

        Args:
            sections: Names of the sections to include; None includes all.

        Returns:
            Values by section and field name, ready for JSON or YAML.
        """
        names = sections or tuple(f.name for f in fields(self))
        return {name: _plain(asdict(getattr(self, name))) for name in names}


COMMON_SECTIONS = ("superpoint", "tracking", "pipeline", "render", "input", "report")
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "live": (*COMMON_SECTIONS, "output", "live", "browser"),
    "video": (*COMMON_SECTIONS, "output", "video", "fleet"),
    "bench": (*COMMON_SECTIONS, "bench"),
}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
