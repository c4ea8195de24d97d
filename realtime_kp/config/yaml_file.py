"""Reading settings from YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from realtime_kp.config.app import AppConfig
from realtime_kp.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of sections into nested built-in values; empty sections are left out.

    Raises:
        ConfigError: The file cannot be read, or is not a mapping of sections.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"cannot read the configuration {path}: {exc.strerror}") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(exc).split())}") from exc
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(v, dict | None) for v in values.values()):
        raise ConfigError(f"{path} must hold sections such as 'superpoint:' with keys below them")
    return {name: section for name, section in values.items() if section}


def load_config(path: str | Path) -> AppConfig:
    """Read a YAML file such as `configs/live.yaml` for use with the Python API.

    Raises:
        ConfigError: The file cannot be read, or a key or value in it is wrong.
    """
    from cyclopts import App, CycloptsError
    from cyclopts.config import Dict

    values = read_yaml(Path(path))
    app = App(config=[Dict(values, source=str(path))], result_action="return_value")
    app.default(_assemble)
    try:
        config = app([], exit_on_error=False, print_error=False)
    except CycloptsError as exc:
        raise ConfigError(" ".join(str(exc).split())) from exc
    assert isinstance(config, AppConfig)
    return config


def _assemble(*, config: Annotated[AppConfig, Parameter(name="*")] | None = None) -> AppConfig:
    return config or AppConfig()
