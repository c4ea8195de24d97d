"""The command line in-process: parsing, messages, exit codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from realtime_kp.cli import main
from realtime_kp.config import SECTIONS, AppConfig
from realtime_kp.features.engines.selection import has_native_half
from tests.conftest import numbered_image, write_clip

FAST = ("--resize", "160", "--max-keypoints", "100", "-q")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    log = logging.getLogger("realtime_kp")
    before = (log.handlers[:], log.propagate, log.level)
    yield
    log.handlers[:], log.propagate = before[0], before[1]
    log.setLevel(before[2])


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["video"], 2, "needs an input"),
        (["video", "demo", "--modell", "x"], 2, "--modell"),
        (["video", "demo", "-o", "-"], 2, "written as .mp4"),
        (["video", "demo", "a.mp4", "--concat"], 2, "--concat joins video files, demo is none"),
        (["video", "a.mp4", "b.mp4", "--concat", "--resume"], 2, "--resume does not go with --concat"),
        (["vido"], 2, "vido"),
        (["video", "demo", "--keypoint-threshold", "-0.1"], 2, "-0.1"),
        (["video", "demo", "--resize", "0"], 2, "'0'"),
        (["video", "demo", "--resize", "641"], 2, "641"),
        (["video", "demo", "--max-frames", "0"], 2, "max_frames"),
        (["video", "demo", "--max-frames", "5.5"], 2, "a whole number, got 5.5"),
        (["video", "demo", "--max-keypoints", "5.0"], 2, "a whole number, got 5.0"),
        (["train", "--images", "x", "--out", "y", "--steps", "5.5"], 2, "a whole number, got 5.5"),
        (["video", "demo", "--tracker", "klt"], 2, "klt"),
        (["video", "demo", "--config", "missing.yaml"], 2, "missing.yaml"),
        (["video", "demo", "--tracks", "tracks.txt"], 2, "tracks.txt"),
        (["video", "demo", "--features", "features.npz"], 2, "features.npz"),
        (["video", "demo", "-o", "out.avi"], 2, "out.avi"),
        (["video", "demo?speed=3"], 2, "speed"),
        (["video", "demo", "demo"], 2, "two inputs"),
        (["video", "a.mp4", "b.mp4", "-o", "c.mp4"], 2, "existing folder"),
        (["video", "nothing.mp4"], 3, "nothing.mp4"),
        (["video", "ftp://somewhere/clip.mp4"], 3, "ftp://"),
        (["live", "97", "--no-window"], 3, "97"),
        (["bench", "nothing.mp4"], 3, "nothing.mp4"),
        (["video", "demo", "--model", "nothing"], 4, "nothing"),
        (["video", "demo", "--model", "magic-leap-community/superpoint"], 4, "out of reach"),
        (["video", "demo", "--device", "cuda:9"], 4, "cuda:9"),
        (["video", "demo", "-o", "no/such/folder/out.mp4"], 5, "no/such/folder"),
        (["video", "demo", "--summary", "no/such/folder/s.json"], 5, "no/such/folder"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "-q"]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("realtime-kp: ")
    assert not any("Traceback" in line for line in lines)
    assert len(lines) <= 2  # the licence of a hub model may come before it
    assert not list(Path().iterdir())


def test_verbose_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", "nothing.mp4", "-v"]) == 3
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        (lambda p: p.mkdir(), (), "holds no pictures"),
        (lambda p: p.write_text("this is text"), (), "is it a video file"),
        (lambda p: p.write_bytes(b""), (), "cannot open"),
        (lambda p: write_clip(p, [numbered_image(0)]), ("--start", "5"), "after second 5"),
    ],
    ids=["empty folder", "text", "empty file", "start after the end"],
)
def test_inputs_that_are_no_video(
    prepare: Callable[[Path], object],
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(Path("clip.mp4"))
    assert main(["video", "clip.mp4", *arguments, "--tracks", "t.csv", *FAST]) == 3
    assert message in capsys.readouterr().err
    assert [p.name for p in Path().iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("command", ["live", "video", "bench"])
def test_print_config_prints_the_real_defaults(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == AppConfig().to_dict(SECTIONS[command])


def test_flags_override_the_file_and_the_file_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text(
        "tracking:\n  max_age: 7\n  confirm_after: 2\nsuperpoint:\n  subpixel: false\n"
    )
    arguments = [
        "video",
        "--config",
        "my.yaml",
        "--tracking.max-age",
        "9",
        "--nms-radius",
        "3",
        "--print-config",
    ]
    assert main(arguments) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["tracking"]["max_age"] == 9
    assert shown["tracking"]["confirm_after"] == 2
    assert shown["superpoint"]["nms_radius"] == 3
    assert shown["superpoint"]["subpixel"] is False


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("live", "live:\n  duration_s: 7.0\n  mirror: true\n"),
        ("video", "video:\n  output: seen.mp4\n  annotate: false\noutput:\n  crf: 30\n"),
        ("bench", "bench:\n  frames: 7\n  encode: true\nreport:\n  overwrite: true\n"),
    ],
)
def test_sections_named_like_commands_are_read(
    command: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my.yaml").write_text(text)
    assert main([command, "--config", "my.yaml", "--print-config"]) == 0
    expected = AppConfig().to_dict(SECTIONS[command])
    for section, values in yaml.safe_load(text).items():
        expected[section] |= values
    assert yaml.safe_load(capsys.readouterr().out) == expected


@pytest.mark.parametrize("command", ["live", "video", "bench"])
def test_what_is_printed_can_be_read_again(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {
        "live": ["--mirror", "--duration", "3", "--record", "r.mp4", "--output.crf", "30"],
        "video": ["--no-video", "--output", "o.mp4", "--tracks", "t.csv", "--no-audio"],
        "bench": ["--frames", "5", "--report", "p.html", "--summary", "s.json"],
    }[command]
    assert main([command, *flags, "--print-config"]) == 0
    Path("my.yaml").write_text(first := capsys.readouterr().out)
    assert first != yaml.safe_dump(AppConfig().to_dict(SECTIONS[command]), sort_keys=False)
    assert main([command, "--config", "my.yaml", "--print-config"]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("flag", ["-o", "--output", "--video.output"])
def test_the_output_has_a_short_and_a_long_name(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", flag, "seen.mp4", "--print-config"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["video"]["output"] == "seen.mp4"
    assert shown["output"] == AppConfig().to_dict()["output"]


def test_short_and_long_names_are_the_same_flag(capsys: pytest.CaptureFixture[str]) -> None:
    short = [
        "--model",
        "x",
        "--no-subpixel",
        "--draw",
        "hud",
        "--trail-length",
        "3",
        "--no-video",
        "--start",
        "2",
    ]
    long = [
        *("--superpoint.model", "x", "--superpoint.no-subpixel", "--render.draw", "hud"),
        *("--render.trail-length", "3", "--no-video", "--video.start-s", "2"),
    ]
    shown = []
    for flags in (short, long):
        assert main(["video", "--print-config", *flags]) == 0
        shown.append(yaml.safe_load(capsys.readouterr().out))
    assert shown[0] == shown[1]
    assert shown[0]["video"]["annotate"] is False


@pytest.mark.parametrize(
    "text",
    [
        "tracking:\n  max_agee: 3\n",
        "nonsense:\n  a: 1\n",
        "superpoint: 5\n",
        "a: [",
        "superpoint:\n  max_keypoints: 5.5\n",
        "render:\n  draw: hud\n  draw: none\n",
        "live:\n  loop: 1\n",
    ],
)
def test_wrong_yaml_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text(text)
    assert main(["video", "demo", "--config", "my.yaml"]) == 2
    assert "my.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["live", "--help"], ["video", "--help"], ["bench", "-h"]])
def test_help_is_there(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "Usage" in capsys.readouterr().out


def test_existing_outputs_are_kept_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("demo_tracks.mp4", "t.csv", "t.csv.json", "f.safetensors", "s.json", "l.jsonl"):
        Path(name).write_text("precious")
        flag = {
            "t.csv": ["--tracks", "t.csv"],
            "t.csv.json": ["--tracks", "t.csv"],
            "f.safetensors": ["--features", "f.safetensors"],
            "s.json": ["--summary", "s.json"],
            "l.jsonl": ["--log", "l.jsonl"],
        }.get(name, [])
        assert main(["video", "demo?frames=2", *flag, *FAST]) == 5
        assert "--overwrite" in capsys.readouterr().err
        assert Path(name).read_text() == "precious"
        if flag:
            Path(name).unlink()
            Path("demo_tracks.mp4").unlink(missing_ok=True)
            continue
        Path(name).unlink()


def test_the_input_is_never_written_to(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = clip.read_bytes()
    Path("link.mp4").symlink_to(clip)
    for target in (str(clip), "link.mp4"):
        assert main(["video", str(clip), "-o", target, "--overwrite", *FAST]) == 5
        assert "input itself" in capsys.readouterr().err
    assert clip.read_bytes() == before


def test_one_run_writes_everything_and_it_fits_together() -> None:
    from safetensors.numpy import load_file

    arguments = [
        "--tracks",
        "t.csv",
        "--features",
        "f.safetensors",
        "--summary",
        "s.json",
        "--log",
        "l.jsonl",
    ]
    assert main(["video", "demo?frames=8", *arguments, *FAST]) == 0
    assert sorted(p.name for p in Path().iterdir()) == [
        "demo_tracks.mp4",
        "f.safetensors",
        "l.jsonl",
        "s.json",
        "t.csv",
        "t.csv.json",
    ]
    summary = json.loads(Path("s.json").read_text())
    assert summary["frames"] == {"read": 8, "processed": 8, "dropped": 0, "detected": 8, "written": 8}
    assert summary["stopped_by"] == "end"
    assert summary["inference_size"] == [160, 120]
    stages = {"grab", "queue", "resize", "network", "keypoints", "track", "draw", "output", "end_to_end"}
    assert set(summary["latency_ms"]) == stages
    lines = [json.loads(line) for line in Path("l.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(8))
    rows = np.genfromtxt("t.csv", delimiter=",", names=True)
    assert [int((rows["frame"] == i).sum()) for i in range(8)] == [line["tracks"] for line in lines]
    features = load_file("f.safetensors")
    assert np.diff(features["offsets"]).tolist() == [line["keypoints"] for line in lines]


def test_no_video_writes_only_the_table_and_its_notes() -> None:
    assert main(["video", "demo?frames=4", "--no-video", "--tracks", "t.jsonl", *FAST]) == 0
    assert sorted(p.name for p in Path().iterdir()) == ["t.jsonl", "t.jsonl.json"]


def test_several_inputs_get_files_of_their_own(clip: Path) -> None:
    write_clip(Path("other.mp4"), [numbered_image(i) for i in range(3)])
    Path("out").mkdir()
    arguments = ["-o", "out", "--tracks", "out/t.csv", "--summary", "out/s.json"]
    assert main(["video", str(clip), "other.mp4", *arguments, *FAST]) == 0
    assert {p.name for p in Path("out").iterdir()} == {
        f"{stem}_{rest}"
        for stem in ("clip", "other")
        for rest in ("tracks.mp4", "t.csv", "t.csv.json", "s.json")
    }
    assert json.loads(Path("out/other_s.json").read_text())["frames"]["written"] == 3


def test_brackets_in_a_name_are_printed_as_they_are(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "[bold] clip [/x].mp4"
    Path("[bold] clip [").mkdir()
    Path(name).write_bytes(clip.read_bytes())
    assert main(["video", name, "--max-frames", "2", *FAST[:-1]]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"annotated: {Path(name).stem}_tracks.mp4" in printed
    assert f"{name}: 2 frames" in printed


def test_one_bad_input_does_not_keep_the_others_from_being_done(clip: Path) -> None:
    assert main(["video", "missing.mp4", str(clip), *FAST]) == 3
    assert Path("clip_tracks.mp4").exists()


def test_pictures_in_pictures_out(tmp_path: Path) -> None:
    import cv2

    Path("in").mkdir()
    for i, size in enumerate([(320, 240), (200, 300), (64, 64)]):
        cv2.imwrite(f"in/{i}.png", np.random.default_rng(i).integers(0, 255, (size[1], size[0], 3), np.uint8))
    assert main(["video", "in", "-o", "out", *FAST]) == 0
    assert [cv2.imread(str(p)).shape[:2] for p in sorted(Path("out").iterdir())] == [
        (240, 320),
        (300, 200),
        (64, 64),
    ]
    assert main(["video", "in", "-o", "out", *FAST]) == 5
    assert main(["video", "in/0.png", *FAST]) == 0
    assert Path("0_tracks.png").exists()
    assert main(["video", "in/*.png", "-o", "all.mp4", *FAST]) == 0
    assert Path("all.mp4").exists()


def test_a_damaged_file_is_written_as_far_as_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_clip(Path("whole.mkv"), [numbered_image(i) for i in range(150)], options={"g": "10"})
    Path("torn.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert main(["video", "torn.mkv", "--summary", "s.json", *FAST]) == 6
    assert "decoded" in capsys.readouterr().err
    assert 10 < json.loads(Path("s.json").read_text())["frames"]["written"] < 150
    assert Path("torn_tracks.mp4").exists()


def test_bench_measures_both_loops() -> None:
    arguments = ["--frames", "12", "--warmup", "2", "--rate", "100", "--summary", "s.json"]
    assert main(["bench", "demo", *arguments, *FAST]) == 0
    summary = json.loads(Path("s.json").read_text())
    assert summary["measured_frames"] == summary["open_loop"]["measured_frames"] == 12
    assert summary["fps"] > 0
    assert summary["measured_dropped"] == 0
    for loop in (summary, summary["open_loop"]):
        assert 0 <= loop["measured_dropped"] <= loop["frames"]["dropped"]
        assert loop["frames"]["read"] == loop["frames"]["processed"] + loop["frames"]["dropped"]
        found = loop["latency_ms"]["end_to_end"]
        assert 0 < found["p50"] <= found["p95"] <= found["p99"] <= found["max"]
    assert summary["machine"]["cores"] >= 1
    assert "torch" in summary["machine"]["versions"]


def test_bench_counts_what_is_dropped_while_it_measures() -> None:
    arguments = [
        "--frames",
        "20",
        "--warmup",
        "2",
        "--rate",
        "2000",
        "--detect-every",
        "1",
        "--summary",
        "s.json",
    ]
    assert main(["bench", "demo:?frames=50", *arguments, *FAST]) == 0
    loop = json.loads(Path("s.json").read_text())["open_loop"]
    assert loop["measured_dropped"] > 0
    share = loop["measured_dropped"] / (loop["measured_dropped"] + loop["measured_frames"])
    assert share == pytest.approx(loop["frames"]["dropped"] / loop["frames"]["read"], abs=0.3)
    assert loop["detections_per_s"] == pytest.approx(loop["fps"], rel=0.3)


@pytest.mark.slow
def test_bench_compares_with_transformers_own_loop(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--frames",
        "10",
        "--warmup",
        "2",
        "--compare",
        "--bench.compare-frames",
        "4",
        "--summary",
        "s.json",
    ]
    assert main(["bench", "demo", *arguments, "--resize", "320"]) == 0
    compare = json.loads(Path("s.json").read_text())["compare"]
    assert compare["ratio"] == pytest.approx(compare["fps"] / compare["transformers_fps"], rel=0.01)
    loops = json.loads(Path("s.json").read_text())["compare"]["loops"]
    printed = " ".join(capsys.readouterr().out.split())
    half = ["transformers half"] if has_native_half("cpu") else []  # else the CPU would imitate it
    assert set(loops) == {"transformers fp32", *half, "ORB and matching", "SIFT and matching"}
    for name in loops:
        assert loops[name]["fps"] > 0
        assert name in printed
    assert "this pipeline" in printed


@pytest.mark.slow
def test_bench_sweeps_and_measures_pieces(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--sweep", "resize=128,256 keypoints=64", "--rounds", "2", "--pieces"]
    few = ["--frames", "6", "--warmup", "2", "--bench.compare-frames", "4", "--summary", "s.json"]
    assert main(["bench", "demo", "--model", "small", *sizes, *few]) == 0
    summary = json.loads(Path("s.json").read_text())
    assert [row["settings"]["resize"] for row in summary["sweep"]] == ["128", "256"]
    small, large = (row["inference_size"] for row in summary["sweep"])
    assert large[0] == 2 * small[0] == 256
    for row in summary["sweep"]:
        assert len(row["fps_rounds"]) == 2
        assert min(row["fps_rounds"]) <= row["fps"] <= max(row["fps_rounds"])
        assert row["keypoints_per_frame"] <= 64
    assert summary["pieces"]["network"]["core_ms"] > 0
    assert "each stage by itself" in " ".join(capsys.readouterr().out.split())


def test_a_sweep_that_cannot_be_read_is_said_before_anything_runs() -> None:
    assert main(["bench", "demo", "--sweep", "size=3"]) == 2
    assert main(["bench", "demo", "--sweep", "keypoints=many"]) == 2


def test_live_headless_runs_for_its_time_and_counts_every_frame() -> None:
    arguments = [
        "--no-window",
        "--duration",
        "1.5",
        "--record",
        "r.mp4",
        "--tracks",
        "t.csv",
        "--summary",
        "s.json",
    ]
    assert main(["live", "demo", *arguments, *FAST]) == 0
    summary = json.loads(Path("s.json").read_text())
    frames = summary["frames"]
    assert summary["stopped_by"] == "limit"
    assert frames["read"] == frames["processed"] + frames["dropped"]
    assert frames["written"] == frames["processed"] > 5
    assert summary["command"] == "live"


def test_live_plays_a_file_at_its_own_rate(clip: Path) -> None:
    assert main(["live", str(clip), "--no-window", "--summary", "s.json", *FAST]) == 0
    summary = json.loads(Path("s.json").read_text())
    assert summary["stopped_by"] == "end"
    assert summary["frames"]["read"] == 12


def test_live_without_a_display_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["live", "demo?frames=5", *FAST]) == 0
    assert "without a window" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["evaluate"],
        ["quantise", "--model", "small", "--images", "x"],
        ["train", "--images", "x", "--out", "y"],
    ],
)
def test_commands_without_a_settings_file_do_not_run_instead_of_printing(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--print-config"]) == 2
    assert f"not for {arguments[0]}" in capsys.readouterr().err
    assert not any(Path().iterdir())


@pytest.mark.parametrize("command", ["evaluate", "doctor", "train", "quantise"])
def test_a_file_for_other_commands_does_not_disturb(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text("tracking:\n  max_age: 7\nlive:\n  mirror: true\n")
    assert main([command, "--config", "my.yaml", "--help"]) == 0
    more = {"train": ["--images", "x", "--out", "y"], "quantise": ["--images", "x", "--model", "small"]}
    assert main([command, "--config", "my.yaml", *more.get(command, []), "--print-config"]) == 2
    assert f"not for {command}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["--known-motion", "--real-motion"])
@pytest.mark.parametrize(
    "flag", [["--rate", "30"], ["--compare"], ["--report", "p.html"], ["--baseline", "b.json"]]
)
def test_flags_of_loops_are_not_for_motion(
    kind: str, flag: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", kind, *flag]) == 2
    assert "cannot be combined with" in capsys.readouterr().err
