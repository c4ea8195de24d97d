from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from realtime_kp.config import (
    LAYERS,
    SECTIONS,
    AppConfig,
    BenchConfig,
    FleetConfig,
    InputConfig,
    LiveConfig,
    OutputConfig,
    PipelineConfig,
    RenderConfig,
    ServeConfig,
    SuperPointConfig,
    TrackingConfig,
    VideoConfig,
    load_config,
    parse_size,
    read_yaml,
)
from realtime_kp.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"

IMPOSSIBLE: list[tuple[type, str, Any]] = [
    (SuperPointConfig, "model", ""),
    (SuperPointConfig, "device", "tpu"),
    (SuperPointConfig, "device", "cuda:"),
    (SuperPointConfig, "device", "cuda:x"),
    (SuperPointConfig, "device", "cpu:0"),
    (SuperPointConfig, "engine", "onnx"),
    (SuperPointConfig, "precision", "fp64"),
    (SuperPointConfig, "resize", "0"),
    (SuperPointConfig, "resize", "24"),
    (SuperPointConfig, "resize", "641"),
    (SuperPointConfig, "resize", "-640"),
    (SuperPointConfig, "resize", "640x"),
    (SuperPointConfig, "resize", "640x481"),
    (SuperPointConfig, "resize", "640x0"),
    (SuperPointConfig, "resize", "large"),
    (SuperPointConfig, "resize", "99992"),
    (SuperPointConfig, "resize", 641),
    (SuperPointConfig, "max_keypoints", "many"),
    (SuperPointConfig, "max_keypoints", 10.5),
    (SuperPointConfig, "max_keypoints", True),
    (SuperPointConfig, "model", None),
    (SuperPointConfig, "subpixel", "no"),
    (SuperPointConfig, "max_keypoints", 0),
    (SuperPointConfig, "max_keypoints", -1),
    (SuperPointConfig, "max_keypoints", 100_001),
    (SuperPointConfig, "keypoint_threshold", -0.1),
    (SuperPointConfig, "keypoint_threshold", 1.1),
    (SuperPointConfig, "keypoint_threshold", math.nan),
    (SuperPointConfig, "nms_radius", -1),
    (SuperPointConfig, "nms_radius", 65),
    (SuperPointConfig, "descriptor_grid", "nearest"),
    (TrackingConfig, "kind", "magic"),
    (TrackingConfig, "match_threshold", 0),
    (TrackingConfig, "match_threshold", 2.1),
    (TrackingConfig, "match_threshold", math.nan),
    (TrackingConfig, "search_radius", 0),
    (TrackingConfig, "search_radius", 0.6),
    (TrackingConfig, "return_radius", 0),
    (TrackingConfig, "return_radius", 0.6),
    (TrackingConfig, "confirm_after", 0),
    (TrackingConfig, "max_age", -1),
    (TrackingConfig, "max_tracks", 0),
    (TrackingConfig, "max_lost", -1),
    (TrackingConfig, "corners", "often"),
    (PipelineConfig, "queue_size", 0),
    (PipelineConfig, "queue_size", 1001),
    (PipelineConfig, "batch", 0),
    (PipelineConfig, "detect_every", "0"),
    (PipelineConfig, "detect_every", "-2"),
    (PipelineConfig, "detect_every", "often"),
    (PipelineConfig, "detect_every", "1.5"),
    (RenderConfig, "draw", "keypoints,boxes"),
    (RenderConfig, "trail_length", 0),
    (RenderConfig, "colour", "red"),
    (RenderConfig, "trails", "some"),
    (RenderConfig, "crowded", "no"),
    (RenderConfig, "hud", "none"),
    (RenderConfig, "hud_at", "middle"),
    (RenderConfig, "trail_length", 1001),
    (InputConfig, "camera_size", "640"),
    (InputConfig, "camera_size", "0x480"),
    (InputConfig, "camera_fps", 0),
    (InputConfig, "camera_fps", 1001),
    (InputConfig, "camera_fps", math.inf),
    (InputConfig, "camera_fourcc", "MJPEG"),
    (InputConfig, "camera_fourcc", "MJ"),
    (InputConfig, "timeout_s", 0),
    (InputConfig, "timeout_s", math.inf),
    (InputConfig, "picture_fps", 0),
    (InputConfig, "picture_fps", 1001),
    (InputConfig, "stream", -1),
    (InputConfig, "roi", "1,2,3"),
    (InputConfig, "ignore", "everything"),
    (InputConfig, "roi", "1,2,0,4"),
    (InputConfig, "roi", "1,2,3,4;"),
    (InputConfig, "roi", "-1,2,3,4"),
    (InputConfig, "range", "100"),
    (InputConfig, "range", "200,100"),
    (OutputConfig, "crf", -1),
    (OutputConfig, "crf", 52),
    (OutputConfig, "preset", "warp9"),
    (LiveConfig, "duration_s", 0),
    (LiveConfig, "duration_s", -1),
    (LiveConfig, "duration_s", math.nan),
    (LiveConfig, "duration_s", math.inf),
    (ServeConfig, "address", "host"),
    (ServeConfig, "address", "65536"),
    (ServeConfig, "address", "http://127.0.0.1:80"),
    (ServeConfig, "address", "0.0.0.0:80"),
    (ServeConfig, "address", "[::]:80"),
    (ServeConfig, "address", "robot.example:80"),
    (VideoConfig, "max_frames", 0),
    (VideoConfig, "start_s", -0.5),
    (VideoConfig, "start_s", math.nan),
    (VideoConfig, "start_s", math.inf),
    (FleetConfig, "ray", "everywhere"),
    (FleetConfig, "workers", 0),
    (FleetConfig, "cpus_per_worker", 0),
    (FleetConfig, "gpus_per_worker", -1),
    (FleetConfig, "chunk_minutes", 1e-9),
    (FleetConfig, "chunk_minutes", 1e300),
    (FleetConfig, "attempts", 0),
    (BenchConfig, "frames", 1),
    (BenchConfig, "warmup", -1),
    (BenchConfig, "rate", 0),
    (BenchConfig, "rate", 10_001),
    (BenchConfig, "rate", math.nan),
    (BenchConfig, "compare_frames", 1),
]

# One value for every key that differs from its default.
OTHER_VALUES: dict[str, dict[str, Any]] = {
    "superpoint": {
        "model": "magic-leap-community/superpoint",
        "revision": "main",
        "device": "cuda:1",
        "engine": "openvino",
        "precision": "bf16",
        "resize": "320x240",
        "max_keypoints": 500,
        "keypoint_threshold": 0.01,
        "nms_radius": 3,
        "subpixel": False,
        "compile": True,
        "descriptor_grid": "transformers",
    },
    "tracking": {
        "match_threshold": 0.9,
        "search_radius": 0.1,
        "return_radius": 0.2,
        "confirm_after": 4,
        "max_age": 30,
        "max_tracks": 100,
        "max_lost": 50,
        "history": 12,
        "corners": "never",
        "only_points": True,
    },
    "pipeline": {"queue_size": 4, "batch": 2, "detect_every": "3"},
    "render": {
        "draw": "tracks",
        "trail_length": 5,
        "colour": "speed",
        "trails": "plain",
        "crowded": "all",
        "hud": "full",
        "hud_at": "bottom-right",
        "undistort": True,
    },
    "input": {
        "camera_size": "1280x720",
        "camera_fps": 60.0,
        "camera_fourcc": "YUYV",
        "timeout_s": 1.5,
        "picture_fps": 5.0,
        "stream": 2,
        "mask": "m.png",
        "points": "p.csv",
        "reference": "r.png",
        "reference_size": "0.42x0.297",
        "camera": "c.yaml",
        "camera_name": "cam1",
        "ignore": "overlays",
        "equalise": "clahe",
        "roi": "0,0,32,24;40,8,16,16",
        "range": "100,4095",
        "reconnect": "5",
        "max_pixels": 1_000_000,
    },
    "report": {"summary": "s.json", "log": "l.jsonl", "overwrite": True},
    "output": {
        "tracks": "t.csv",
        "lost_tracks": True,
        "features": "f.safetensors",
        "poses": "p.jsonl",
        "export": "nuke:t.nk",
        "crf": 30,
        "preset": "slow",
    },
    "live": {
        "window": False,
        "duration_s": 2.5,
        "record": "r.mp4",
        "loop": True,
        "mirror": True,
        "rerun": "t.rrd",
    },
    "browser": {"address": "localhost:8000", "token": "correct-horse", "read_only": True},
    "video": {
        "audio": False,
        "output": "o.mp4",
        "annotate": False,
        "max_frames": 7,
        "resume": True,
        "keep_every_s": 2.0,
        "start_s": 1.5,
        "concat": True,
    },
    "fleet": {
        "ray": "auto",
        "workers": 4,
        "cpus_per_worker": 2,
        "gpus_per_worker": 0.25,
        "chunk_minutes": 0.5,
        "scratch": "scratch",
        "attempts": 1,
    },
    "bench": {
        "frames": 50,
        "warmup": 3,
        "known_motion": True,
        "why": True,
        "real_motion": True,
        "rate": 30.0,
        "encode": True,
        "compare": True,
        "sweep": "model=base,small",
        "rounds": 3,
        "pieces": True,
        "serve": True,
        "ray": True,
        "html": "report.html",
        "profile": "trace.json",
        "baseline": "old.json",
        "tolerance": 25.0,
        "compare_frames": 5,
    },
}


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("stage", "key", "value"),
    IMPOSSIBLE,
    ids=[f"{stage.__name__}-{key}-{value}" for stage, key, value in IMPOSSIBLE],
)
def test_impossible_value_is_told_with_what_was_got(stage: type, key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        stage(**{key: value})
    assert str(caught.value).endswith((f"got {value!r}", f"got '{value}'"))
    assert key.removesuffix("_s") in str(caught.value)


@pytest.mark.parametrize("size", ["100000", "24", "641", "640x100000", "640x481", "8200", 100_000, 8200])
def test_a_size_that_the_network_cannot_have_is_told_by_that_rule(size: str | int) -> None:
    with pytest.raises(ConfigError, match=rf"in multiples of 8 from 32 to 8192, got '{size}'"):
        SuperPointConfig(resize=size)  # type: ignore[arg-type]


@pytest.mark.parametrize(("stage", "key"), [(PipelineConfig, "detect_every"), (InputConfig, "reconnect")])
def test_a_number_that_is_too_large_is_told_by_that_rule(stage: type, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key} must be .* 999999, got '1000000'"):
        stage(**{key: 1_000_000})


@pytest.mark.parametrize(
    ("stage", "key", "values"),
    [
        (SuperPointConfig, "device", ["auto", "cpu", "cuda", "cuda:3", "mps"]),
        (SuperPointConfig, "resize", ["32", "640", "640x480", "1920x1080"]),
        (SuperPointConfig, "max_keypoints", [1, 100_000]),
        (SuperPointConfig, "keypoint_threshold", [0, 1]),
        (SuperPointConfig, "nms_radius", [0, 64]),
        (TrackingConfig, "max_age", [0]),
        (TrackingConfig, "match_threshold", [2]),
        (PipelineConfig, "detect_every", ["auto", "1", "30"]),
        (RenderConfig, "draw", ["none", "keypoints", "hud, tracks"]),
        (InputConfig, "camera_size", [None, "1x1"]),
        (InputConfig, "camera_fps", [None, 7.5]),
        (InputConfig, "camera_fourcc", [None, "YUYV"]),
        (OutputConfig, "crf", [0, 51]),
        (BenchConfig, "warmup", [0]),
    ],
)
def test_values_at_the_edge_are_taken(stage: type, key: str, values: list[Any]) -> None:
    assert [getattr(stage(**{key: value}), key) for value in values] == values


@pytest.mark.parametrize(
    "text", ["", "640", "x480", "640x480x3", "640X480", "-1x5", "0x5", "123456x5", "640 x 480"]
)
def test_size_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match=f"a flag must be a size such as 640x480, got '{text}'"):
        parse_size(text, "a flag")


def test_size() -> None:
    assert parse_size("640x480", "a flag") == (640, 480)


@pytest.mark.parametrize(
    ("draw", "layers"),
    [("none", set()), ("keypoints,tracks,hud", set(LAYERS)), (" hud , tracks", {"hud", "tracks"})],
)
def test_layers(draw: str, layers: set[str]) -> None:
    assert RenderConfig(draw=draw).layers == layers


@pytest.mark.parametrize(("detect_every", "interval"), [("auto", "auto"), ("1", 1), ("12", 12)])
def test_detection_interval(detect_every: str, interval: int | str) -> None:
    assert PipelineConfig(detect_every=detect_every).detection_interval == interval


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(AppConfig)])
def test_settings_are_frozen(name: str) -> None:
    config = AppConfig()
    section = getattr(config, name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, section)
    for field in dataclasses.fields(section):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(section, field.name, None)


def test_settings_as_plain_values() -> None:
    config = AppConfig(output=OutputConfig(tracks=Path("out") / "t.csv"), live=LiveConfig(window=False))
    values = config.to_dict()
    assert list(values) == [field.name for field in dataclasses.fields(AppConfig)]
    assert values["output"]["tracks"] == str(Path("out") / "t.csv")
    assert values["live"]["window"] is False
    assert json.loads(json.dumps(values)) == values
    assert list(config.to_dict(("live", "input"))) == ["live", "input"]


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "")) == AppConfig()
    assert load_config(write(tmp_path, "superpoint:\nlive:\n")) == AppConfig()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [(section, key, value) for section, values in OTHER_VALUES.items() for key, value in values.items()],
)
def test_every_key_is_read(tmp_path: Path, section: str, key: str, value: Any) -> None:
    expected = AppConfig().to_dict()
    assert expected[section][key] != value
    expected[section][key] = value
    path = write(tmp_path, yaml.safe_dump({section: {key: value}}))
    assert load_config(str(path)).to_dict() == expected


def test_every_key_has_another_value_here() -> None:
    known = {section: set(values) for section, values in AppConfig().to_dict().items()}
    known["tracking"].discard("kind")
    assert {section: set(values) for section, values in OTHER_VALUES.items()} == known


def test_paths_are_paths(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "output: {tracks: a/t.csv}")).output.tracks == Path("a/t.csv")


@pytest.mark.parametrize(
    ("section", "key"),
    [("superpoint", "revision"), ("input", "camera_size"), ("live", "duration_s"), ("bench", "rate")],
)
def test_null_is_none(tmp_path: Path, section: str, key: str) -> None:
    config = load_config(write(tmp_path, f"{section}: {{{key}: null}}"))
    assert getattr(getattr(config, section), key) is None


def test_sizes_and_intervals_may_be_numbers() -> None:
    assert SuperPointConfig(resize=320) == SuperPointConfig(resize="320")  # type: ignore[arg-type]
    assert PipelineConfig(detect_every=2) == PipelineConfig(detect_every="2")  # type: ignore[arg-type]


def test_numbers_need_no_quotes(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "superpoint: {resize: 320}\npipeline: {detect_every: 2}"))
    assert (config.superpoint.resize, config.pipeline.detect_every) == ("320", "2")


def test_defaults_come_back_through_a_file(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, yaml.safe_dump(AppConfig().to_dict()))) == AppConfig()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("superpoint: {max_keypoint: 5}", "max_keypoint"),
        ("network: {model: base}", "network"),
        ("tracking: {max-agee: 5}", "max-agee"),
        ("superpoint: {max_keypoints: many}", "many"),
        ("superpoint: {max_keypoints: [1, 2]}", "max_keypoints"),
        ("superpoint: {subpixel: perhaps}", "perhaps"),
        ("superpoint: {engine: onnx}", "onnx"),
        ("superpoint: {model: null}", "model"),
        ("superpoint: {max_keypoints: 0}", "max_keypoints must be 1 to 100000, got 0"),
        ("render: {draw: boxes}", "got 'boxes'"),
        ("input: {camera_fps: fast}", "fast"),
    ],
)
def test_wrong_key_or_value_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["superpoint: [", "a: b: c", "\tx: 1", "superpoint: !!python/object:os.system {}"]
)
def test_invalid_yaml_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"settings\.yaml is not valid YAML") as caught:
        load_config(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ConfigError, match=r"settings\.yaml"):
        load_config(path)


@pytest.mark.parametrize("text", ["[1, 2]", "model", "superpoint: base", "3"])
def test_yaml_without_sections_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"settings\.yaml must hold sections"):
        read_yaml(write(tmp_path, text))


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*gone\.yaml"):
        load_config(tmp_path / "gone.yaml")


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load_config(tmp_path)


@pytest.mark.parametrize("command", SECTIONS)
def test_shipped_file_lists_every_setting_with_its_default(command: str) -> None:
    path = CONFIGS / f"{command}.yaml"
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert listed == AppConfig().to_dict(SECTIONS[command])
    assert {name: list(keys) for name, keys in listed.items()} == {
        name: list(keys) for name, keys in AppConfig().to_dict(SECTIONS[command]).items()
    }


@pytest.mark.parametrize("command", SECTIONS)
def test_shipped_file_loads_as_the_defaults(command: str) -> None:
    assert load_config(CONFIGS / f"{command}.yaml") == AppConfig()


@pytest.mark.parametrize("command", SECTIONS)
def test_commands_read_known_sections_once(command: str) -> None:
    names = [field.name for field in dataclasses.fields(AppConfig)]
    assert set(SECTIONS[command]) <= set(names)
    assert len(set(SECTIONS[command])) == len(SECTIONS[command])
    assert command in SECTIONS[command]
