"""What YAML, flags and Python accept in silence elsewhere, and is refused here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from realtime_kp.config import AppConfig, EvaluateConfig, TrainConfig, dump_yaml, load_config, read_yaml
from realtime_kp.errors import ConfigError

SECTIONS = get_type_hints(AppConfig)
NUMBERS_TOO = ("resize", "detect_every", "reconnect", "camera_name", "address")

# Of each kind of field: what is refused, as YAML text.
REFUSED: dict[type, list[str]] = {
    int: ["5.5", "5.0", "true", "'5'", ".nan", ".inf", "null", "[5]", "{a: 5}", "2024-01-02"],
    float: ["true", "'0.5'", ".nan", ".inf", "-.inf", "[0.5]", "1e999"],
    bool: ["0", "1", "1.0", "'yes'", "'true'", "null", "[true]"],
    str: ["true", "[a]", "2024-01-02"],
    Path: ["5", "5.5", "true", "[a]", "2024-01-02"],
}


def refused() -> Iterator[tuple[str, str, list[str]]]:
    for section, kind in SECTIONS.items():
        for name, annotation in get_type_hints(kind).items():
            if get_origin(annotation) is Literal:
                continue
            kinds = get_args(annotation) or (annotation,)
            texts = [text for one in kinds for text in REFUSED.get(one, [])]
            texts += ["5", "5.5"] if str in kinds and name not in NUMBERS_TOO else []
            yield section, name, [text for text in texts if text != "null" or type(None) not in kinds]


def settings(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("section", "key", "texts"), list(refused()))
def test_a_value_of_another_kind_is_refused(tmp_path: Path, section: str, key: str, texts: list[str]) -> None:
    for text, read in product(texts, (read_yaml, load_config)):
        path = settings(tmp_path, f"{section}:\n  {key}: {text}\n")
        with pytest.raises(ConfigError) as caught:
            read(path)
        told = str(caught.value)
        assert told.startswith(f"{path}, section '{section}': {key} must be ")
        assert ", got " in told
        assert "\n" not in told


@pytest.mark.parametrize("text", ["010", "0x10", "0b11", "1:30", "1:30.5", "00"])
@pytest.mark.parametrize("key", ["max_keypoints", "keypoint_threshold", "revision"])
def test_a_number_that_yaml_reads_as_another_is_refused(tmp_path: Path, key: str, text: str) -> None:
    path = settings(tmp_path, f"superpoint:\n  model: base\n  {key}: {text}\n")
    with pytest.raises(ConfigError, match=f"settings.yaml, line 3: {text} is no decimal number"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 0.001), ("1.0e-3", 0.001), (".5", 0.5), ("0", 0), ("+0.5", 0.5)]
)
def test_every_way_to_write_a_decimal_number_is_read(tmp_path: Path, text: str, number: float) -> None:
    path = settings(tmp_path, f"superpoint: {{keypoint_threshold: {text}}}")
    assert load_config(path).superpoint.keypoint_threshold == number


def test_whole_numbers_may_have_underscores(tmp_path: Path) -> None:
    assert load_config(settings(tmp_path, "input: {max_pixels: 1_000_000}")).input.max_pixels == 1_000_000


@pytest.mark.parametrize(
    ("text", "key", "line", "first"),
    [
        ("superpoint:\n  max_keypoints: 5\n  model: base\n  max_keypoints: 6\n", "max_keypoints", 4, 2),
        ("superpoint:\n  max_keypoints: 5\n  max-keypoints: 6\n", "max-keypoints", 3, 2),
        ("superpoint:\n  model: base\nrender:\nsuperpoint:\n  compile: true\n", "superpoint", 4, 1),
        ("superpoint: {model: base, model: base}", "model", 1, 1),
        ("live:\n  loop: true\n  'loop': true\n", "loop", 3, 2),
    ],
)
def test_what_is_given_twice_is_refused(tmp_path: Path, text: str, key: str, line: int, first: int) -> None:
    path = settings(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (
        f"{path}, line {line}: {key!r} is given twice, first in line {first}; keep one"
    )


def test_an_anchor_may_be_overridden(tmp_path: Path) -> None:
    text = "superpoint: &one {model: base}\ntracking: {}\n"
    assert load_config(settings(tmp_path, text)).superpoint.model == "base"
    text = "superpoint: {<<: {model: base, compile: true}, model: small}\n"
    found = load_config(settings(tmp_path, text)).superpoint
    assert (found.model, found.compile) == ("small", True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Superpoint: {model: base}", "unknown section 'Superpoint'; did you mean 'superpoint'?"),
        ("superpoint: {maxkeypoints: 5}", "unknown key 'maxkeypoints'; did you mean 'max_keypoints'?"),
        ("live: {no_window: true}", "unknown key 'no_window'; did you mean 'window'?"),
        ("superpoint: {no-subpixel: true}", "unknown key 'no-subpixel'; did you mean 'subpixel'?"),
        ("5: {a: 1}", "unknown section '5'"),
        ("superpoint: {5: 1}", "unknown key '5'"),
        ("superpoint: {revision: 2024-13-45}", "not valid YAML"),
        ("superpoint: {max_keypoints: " + "9" * 5000 + "}", "not valid YAML"),
        ("superpoint: " + "[" * 5000, "not valid YAML"),
    ],
)
def test_nothing_in_a_file_is_passed_over_or_raises_a_foreign_error(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings(tmp_path, text))
    assert told in str(caught.value)
    assert "settings.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["12e45", "0123", "1_0", "1:30", "true", "null", "1e5", "0x1F", "2024-01-02"]
)
def test_text_that_looks_like_a_value_comes_back_as_text(tmp_path: Path, text: str) -> None:
    path = settings(tmp_path, dump_yaml({"superpoint": {"revision": text}}))
    assert load_config(path).superpoint.revision == text


@pytest.mark.parametrize("kind", [*SECTIONS.values(), TrainConfig, EvaluateConfig])
@pytest.mark.parametrize("value", [5.5, 5.0, True, "5", float("nan"), float("inf")])
def test_python_takes_no_other_kind_of_number_for_a_whole_one(kind: type[Any], value: Any) -> None:
    for name, annotation in get_type_hints(kind).items():
        if int in (get_args(annotation) or (annotation,)):
            with pytest.raises(ConfigError) as caught:
                kind(**{name: value})
            assert str(caught.value).startswith(f"{name} must be a whole number")
            assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize("kind", [*SECTIONS.values(), TrainConfig, EvaluateConfig])
@pytest.mark.parametrize("value", [True, "0.5", float("nan"), float("inf"), -float("inf")])
def test_python_takes_only_finite_numbers(kind: type[Any], value: Any) -> None:
    for name, annotation in get_type_hints(kind).items():
        if float in (get_args(annotation) or (annotation,)):
            with pytest.raises(ConfigError, match=f"{name} must be a finite number.*, got "):
                kind(**{name: value})


@pytest.mark.parametrize("section", [field.name for field in fields(AppConfig)])
def test_python_takes_sections_only_as_what_they_are(section: str) -> None:
    with pytest.raises(ConfigError, match=f"{section} must be {SECTIONS[section].__name__}, got {{}}"):
        AppConfig(**{section: {}})  # type: ignore[arg-type]
