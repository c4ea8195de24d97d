"""Settings in YAML files: read strictly, since a value that is misread in silence is found by nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from realtime_kp.config.app import AppConfig
from realtime_kp.errors import ConfigError

# PyYAML reads 1e-3 as text, unlike YAML 1.2.
_SHORT_FLOAT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")
# YAML 1.1 reads 010 as 8, 1:30 as 90 and 0x480 as 1152.
_DECIMAL = re.compile(
    r"[-+]?(0|[1-9][0-9_]*)(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.([0-9_]+|inf|Inf|INF|nan|NaN|NAN)"
)


def read_yaml(path: Path) -> dict[str, dict[str, Any]]:
    """Read a YAML file of sections into nested built-in values; empty sections are left out.

    Raises:
        ConfigError: The file cannot be read, or a section, key or value in it is wrong or given twice.
    """
    values = _sections(path)
    _configuration(path, values)
    return values


def load_config(path: str | Path) -> AppConfig:
    """Read a YAML file such as `configs/live.yaml` for use with the Python API.

    Raises:
        ConfigError: The file cannot be read, or a section, key or value in it is wrong or given twice.
    """
    if not isinstance(path, str | Path):
        raise ConfigError(f"load_config takes the name of a YAML file, got {path!r}")
    return _configuration(Path(path), _sections(Path(path)))


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Nested built-in values as text that `read_yaml` reads back."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False)


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as exc:
        raise ConfigError(f"cannot read the configuration {path}: {exc.strerror}") from exc
    except ConfigError as exc:
        raise ConfigError(f"{path}, {exc}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(exc).split())}") from exc
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(v, dict | None) for v in values.values()):
        raise ConfigError(f"{path} must hold sections such as 'superpoint:' with keys below them")
    return {
        str(name): {str(key): value for key, value in section.items()}
        for name, section in values.items()
        if section
    }


def _configuration(path: Path, values: Mapping[str, Mapping[str, Any]]) -> AppConfig:
    kinds = get_type_hints(AppConfig)
    sections = {}
    for name, keys in values.items():
        if name not in kinds:
            raise ConfigError(f"{path} has an unknown section {name!r}{_meant(name, kinds)}")
        sections[name] = _section(path, name, kinds[name], keys)
    return AppConfig(**sections)


def _section(path: Path, name: str, kind: type, keys: Mapping[str, Any]) -> Any:
    known = get_type_hints(kind)
    values = {}
    for key, value in keys.items():
        field = _field(key)
        if field not in known:
            raise ConfigError(f"{path}, section {name!r}, has an unknown key {key!r}{_meant(field, known)}")
        is_path = isinstance(value, str) and Path in get_args(known[field])
        values[field] = Path(value) if is_path else value
    try:
        return kind(**values)
    except ConfigError as exc:
        raise ConfigError(f"{path}, section {name!r}: {exc}") from exc


def _field(key: str) -> str:
    return key.replace("-", "_")


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


class _Loader(yaml.SafeLoader):
    """Refuses what YAML allows and nobody means: keys given twice, and numbers that are not decimal."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = _field(key.value), key.start_mark.line + 1
            if name in lines:
                raise ConfigError(
                    f"line {line}: {key.value!r} is given twice, first in line {lines[name]}; keep one"
                )
            lines[name] = line
        return node

    def construct_number(self, node: Any) -> int | float:
        """The value of a plain decimal number."""
        if not _DECIMAL.fullmatch(node.value):
            raise ConfigError(
                f"line {node.start_mark.line + 1}: {node.value} is no decimal number; write it as one, or as "
                "text in quotes"
            )
        is_whole = node.tag.endswith(":int")
        number: int | float = self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)
        return number


class _Dumper(yaml.SafeDumper):
    """Writes in quotes what the loader would read as a number."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _SHORT_FLOAT, list("-+0123456789"))
for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_number)
