"""`video --ray`, through the whole command, on clusters of this machine."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from realtime_kp import __version__
from realtime_kp.apps.fleet import cluster
from realtime_kp.apps.fleet.worker import probe
from realtime_kp.cli import main
from realtime_kp.errors import ConfigError
from realtime_kp.sources.demo import DemoSpec
from tests.apps.command import Command
from tests.conftest import within, write_clip

pytest.importorskip("ray", reason="needs pip install ray")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FAST = ("--model", "small", "--resize", "64", "--max-keypoints", "50", "-q")


def clips(folder: Path, count: int, frames: int) -> list[str]:
    """Videos of their own motion each, and their names in the folder."""
    names = []
    for number in range(count):
        scene = DemoSpec.parse(f"demo?size=96x64&seed={number}").scene()
        names.append(f"c{number:02}.mp4")
        write_clip(folder / names[-1], [scene.render(index) for index in range(frames)])
    return names


def video(folder: Path, *words: str) -> Command:
    """The command, running."""
    return Command(folder, "video", *words, *FAST)


def ended(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code of the command, and what it told."""
    with video(folder, *words) as command:
        return command.ended(500)


def plain_tables(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Tables of the same videos without Ray."""
    (folder / "plain").mkdir()
    code, errors = ended(folder, *names, "--no-video", "--tracks", "plain/t.csv")
    assert code == 0, errors
    return tables(folder / "plain")


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "fleet.json").read_text())  # type: ignore[no-any-return]


def test_tables_are_those_of_a_plain_run_and_a_bad_video_fails_alone(tmp_path: Path) -> None:
    names = clips(tmp_path, 4, 40)
    (tmp_path / "out").mkdir()
    expected = plain_tables(tmp_path, names)
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    inputs = [*names[:2], "bad.mp4", *names[2:]]
    code, errors = ended(tmp_path, *inputs, "-o", "out", "--tracks", "out/t.csv", "--ray", "local")
    assert code == 6, errors
    assert "bad.mp4" in errors
    assert tables(tmp_path / "out") == expected
    assert len(list((tmp_path / "out").glob("*_tracks.mp4"))) == 4
    report = report_of(tmp_path / "out")
    assert [one["input"] for one in report["inputs"]] == inputs
    assert [one["outcome"] for one in report["inputs"]] == ["done", "done", "failed", "done", "done"]
    assert report["frames"] == 160
    assert not list((tmp_path / "out").glob(".*"))


@contextmanager
def ray_nodes(count: int) -> Iterator[Any]:
    """A cluster of so many nodes with a core each, beside a head without any."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        found.workers = [found.add_node(num_cpus=1) for _ in range(count)]
        yield found
    finally:
        found.shutdown()


@pytest.mark.parametrize(
    ("videos", "workers"), [(6, 2), pytest.param(40, 4, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_a_node_dies_and_another_comes(videos: int, workers: int, tmp_path: Path) -> None:
    names = clips(tmp_path, videos, 200)
    (tmp_path / "out").mkdir()
    expected = plain_tables(tmp_path, names)
    with ray_nodes(workers) as nodes:
        words = ["--no-video", "--tracks", "out/t.csv", "--ray", nodes.address, "--input.timeout-s", "5"]
        with video(tmp_path, *names, *words) as command:
            assert within(120, lambda: any((tmp_path / "out").glob("*.partial*")))
            nodes.remove_node(nodes.workers[0], allow_graceful=False)
            nodes.add_node(num_cpus=1)
            code, errors = command.ended(600)
    assert code == 0, errors
    report = report_of(tmp_path / "out")
    assert report["workers"] >= workers
    assert all(one["outcome"] == "done" for one in report["inputs"])
    assert max(one["attempts"] for one in report["inputs"]) == 2, errors
    assert tables(tmp_path / "out") == expected


def test_what_was_stopped_goes_on(tmp_path: Path) -> None:
    names = clips(tmp_path, 3, 350)
    (tmp_path / "out").mkdir()
    words = [*names, "--no-video", "--tracks", "out/t.csv", "--ray", "local", "--video.keep-every-s", "0.1"]
    expected = plain_tables(tmp_path, names)
    with video(tmp_path, *words) as command:
        assert within(120, lambda: any((tmp_path / "out").glob("*.partial*")))
        time.sleep(1)
        command.send(signal.SIGTERM)
        started_s = time.perf_counter()
        code, errors = command.ended(500)
    assert code == 130, errors
    assert "Traceback" not in errors
    assert "SIGTERM" not in errors
    assert time.perf_counter() - started_s < 40
    outcomes = {one["outcome"] for one in report_of(tmp_path / "out")["inputs"]}
    assert outcomes & {"stopped", "waiting"}
    code, errors = ended(tmp_path, *words, "--resume")
    assert code == 0, errors
    assert tables(tmp_path / "out") == expected


def test_two_drivers_on_one_folder_are_refused(tmp_path: Path) -> None:
    names = clips(tmp_path, 2, 400)
    (tmp_path / "out").mkdir()
    words = ["--no-video", "--tracks", "out/t.csv", "--ray", "local"]
    with video(tmp_path, *names, *words) as first:
        assert within(60, lambda: (tmp_path / "out" / ".fleet.json.lock").exists())
        code, errors = ended(tmp_path, *names, *words)
        assert code == 5
        assert "is being written by" in errors
        first.send(signal.SIGINT)
        assert first.ended(500)[0] in (0, 130)


def test_an_address_that_does_not_answer_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where another cluster of this machine is not known
    name = clips(tmp_path, 1, 3)[0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    started_s = time.perf_counter()
    assert main(["video", name, "--ray", f"127.0.0.1:{number}"]) == 2
    assert time.perf_counter() - started_s < 10
    assert f"nothing answers at 127.0.0.1:{number}" in capsys.readouterr().err
    assert main(["video", name, "--ray", "auto"]) == 2
    assert "no Ray cluster answers at auto" in capsys.readouterr().err
    assert main(["video", "0", "--ray", "local", "-o", "o.mp4"]) == 2
    assert "not for 0" in capsys.readouterr().err


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"--ray needs Ray: pip install 'realtime-kp\[ray\]'"):
        cluster.check_ray()


def test_what_a_node_lacks(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "token").touch()
    folder = str(tmp_path)
    assert probe(folder, ["a.mp4"], [], "token", __version__) == ""
    assert "has realtime-kp" in probe(folder, [], [], "token", "0.0.0")
    assert "working folder" in probe(f"{folder}/none", [], [], "token", __version__)
    assert (
        probe(folder, ["a.mp4", "b.mp4", "c.mp4"], [], "token", __version__)
        == "does not see b.mp4 and 1 more"
    )
    assert "has to be shared" in probe(folder, [], [], f"{folder}/out/token", __version__)
