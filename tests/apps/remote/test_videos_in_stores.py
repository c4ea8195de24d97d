"""`video` with inputs and outputs in object stores: an S3 server on this machine, and `file://`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.apps.fleet.test_fleet import clips, ended, plain_tables, tables, video
from tests.conftest import within

pytest.importorskip("s3fs", reason="needs pip install s3fs")
server = pytest.importorskip("moto.server", reason="needs pip install 'moto[server]'")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of a fresh server, which commands of this test use as well."""
    import s3fs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    settings = {"ENDPOINT_URL": f"http://{host}:{port}", "KEY": "k", "SECRET": "s"}
    for name, value in settings.items():
        monkeypatch.setenv(f"FSSPEC_S3_{name}", value)
    store = s3fs.S3FileSystem(
        key="k", secret="s", endpoint_url=settings["ENDPOINT_URL"], skip_instance_cache=True
    )
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST"), timeout=10).close()
    store.mkdir("bucket")
    try:
        yield store
    finally:
        running.stop()


def uploaded(s3: Any, folder: Path, count: int, frames: int) -> list[str]:
    names = clips(folder, count, frames)
    for name in names:
        s3.put(str(folder / name), f"bucket/in/{name}")
    return names


def stored_tables(s3: Any, folder: str) -> dict[str, bytes]:
    s3.invalidate_cache()
    return {path.rpartition("/")[2]: s3.cat(path) for path in s3.ls(folder) if path.endswith(".csv")}


def test_workers_read_from_and_write_to_a_bucket(s3: Any, tmp_path: Path) -> None:
    names = uploaded(s3, tmp_path, 3, 30)
    expected = plain_tables(tmp_path, names)
    (tmp_path / "scratch").mkdir()
    s3.pipe("bucket/in/bad.mp4", b"no video at all")
    words = ["s3://bucket/in/*.mp4", "s3://bucket/in/none.mp4", "-o", "s3://bucket/out"]
    words += ["--tracks", "s3://bucket/out/t.csv", "--ray", "local", "--scratch", "scratch"]
    code, errors = ended(tmp_path, *words)
    assert code == 6, errors
    assert "there is no file s3://bucket/in/none.mp4" in errors
    assert stored_tables(s3, "bucket/out") == expected
    written = {path.rpartition("/")[2] for path in s3.ls("bucket/out")}
    assert {name.replace(".mp4", "_tracks.mp4") for name in names} < written
    report = json.loads(s3.cat("bucket/out/fleet.json"))
    outcomes = {one["input"]: one["outcome"] for one in report["inputs"]}
    assert outcomes.pop("s3://bucket/in/bad.mp4") == outcomes.pop("s3://bucket/in/none.mp4") == "failed"
    assert set(outcomes.values()) == {"done"}
    assert list((tmp_path / "scratch").iterdir()) == []

    code, errors = ended(tmp_path, *words)
    assert code == 5
    assert "exists already; add --overwrite" in errors
    code, errors = ended(tmp_path, *words[:1], *words[2:], "--resume")
    assert code == 6, errors
    report = json.loads(s3.cat("bucket/out/fleet.json"))
    assert [one["frames"] for one in report["inputs"]] == [0, 0, 0, 0]
    assert sum(one["outcome"] == "done" for one in report["inputs"]) == 3


def test_one_video_without_workers(s3: Any, tmp_path: Path) -> None:
    (name,) = uploaded(s3, tmp_path, 1, 30)
    expected = plain_tables(tmp_path, [name])
    words = [f"s3://bucket/in/{name}", "-o", "s3://bucket/o/seen.mp4", "--tracks", "s3://bucket/o/t.csv"]
    code, errors = ended(tmp_path, *words, "--export", "vot:s3://bucket/o/export")
    assert code == 0, errors
    assert len(s3.ls("bucket/o/export")) > 0
    assert list(stored_tables(s3, "bucket/o").values()) == list(expected.values())
    assert s3.size("bucket/o/seen.mp4") > 1000
    assert ended(tmp_path, *words)[0] == 5
    assert ended(tmp_path, *words, "--overwrite")[0] == 0


def test_parts_of_one_video_are_all_copied(s3: Any, tmp_path: Path) -> None:
    names = uploaded(s3, tmp_path, 2, 20)
    assert ended(tmp_path, *names, "--concat", "--no-video", "--tracks", "plain.csv")[0] == 0
    parts = [f"s3://bucket/in/{name}" for name in names]
    code, errors = ended(tmp_path, *parts, "--concat", "--no-video", "--tracks", "s3://bucket/joined.csv")
    assert code == 0, errors
    assert s3.cat("bucket/joined.csv") == (tmp_path / "plain.csv").read_bytes()


def test_a_long_video_of_a_store_is_cut(tmp_path: Path) -> None:
    name = clips(tmp_path, 1, 600)[0]
    (tmp_path / "out").mkdir()
    expected = plain_tables(tmp_path, [name])
    words = [f"file://{tmp_path}/{name}", "--no-video", "--tracks", f"file://{tmp_path}/out/t.csv"]
    code, errors = ended(tmp_path, *words, "--ray", "local", "--chunk-minutes", "0.05")
    assert code == 0, errors
    assert list(tables(tmp_path / "out").values()) == list(expected.values())


def test_an_input_is_never_replaced_and_nothing_else_by_accident(s3: Any, tmp_path: Path) -> None:
    (name,) = uploaded(s3, tmp_path, 1, 20)
    before = (tmp_path / name).read_bytes()
    here, there = f"file://{tmp_path}/{name}", f"s3://bucket/in/{name}"
    for source, target in ((here, here), (name, here), (here, name), (there, there)):
        code, errors = ended(tmp_path, source, "-o", target, "--overwrite")
        assert code == 5, errors
        assert "would destroy the input itself" in errors
    assert (tmp_path / name).read_bytes() == s3.cat(f"bucket/in/{name}") == before
    code, errors = ended(tmp_path, name, "--no-video", "--tracks", "s3://nobucket/t.csv")
    assert code == 5, errors
    assert "cannot write into s3://nobucket" in errors
    assert not s3.exists("nobucket")


def test_what_another_run_wrote_meanwhile_stays(s3: Any, tmp_path: Path) -> None:
    (name,) = uploaded(s3, tmp_path, 1, 300)
    (tmp_path / "scratch").mkdir()
    words = (name, "--no-video", "--tracks", "s3://bucket/t.csv", "--scratch", "scratch")
    with video(tmp_path, *words) as command:
        assert within(60, lambda: any((tmp_path / "scratch").rglob("*.partial.csv")))
        s3.pipe("bucket/t.csv", b"another one's")
        code, errors = command.ended(100)
    assert code == 5, errors
    assert "was written by another run meanwhile; what was made is kept in" in errors
    assert s3.cat("bucket/t.csv") == b"another one's"
    assert len(list((tmp_path / "scratch").glob("realtime_kp_kept_*/t.csv"))) == 1


def test_a_table_tells_the_address_and_a_changed_input_is_refused(tmp_path: Path) -> None:
    (name,) = clips(tmp_path, 1, 20)
    address, table = f"file://{tmp_path}/{name}", f"file://{tmp_path}/out/t.csv"
    words = (address, "--no-video", "--tracks", table, "--summary", f"file://{tmp_path}/out/s.json")
    assert ended(tmp_path, *words)[0] == 0
    assert json.loads((tmp_path / "out/t.csv.json").read_text())["source"] == address
    assert json.loads((tmp_path / "out/s.json").read_text())["source"] == address
    assert ended(tmp_path, *words, "--resume")[0] == 0
    (tmp_path / name).touch()
    code, errors = ended(tmp_path, *words, "--resume")
    assert code == 5, errors
    assert "was changed or replaced after its outputs were made" in errors


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["s3://bucket/none.mp4", "-o", "o.mp4"], "there is no file s3://bucket/none.mp4"),
        (["s3://nowhere/in/*.mp4", "-o", "o"], "s3://nowhere"),
        (
            ["s3://bucket/a.mp4", "-o", "o.mp4", "--scratch", "nowhere"],
            "--scratch: no folder can be made there",
        ),
        (["file:///nowhere/*.mp4"], "no file matches file:///nowhere/*.mp4"),
        (["gs://bucket/a.mp4", "-o", "o.mp4"], "gs:// needs gcsfs: pip install gcsfs"),
    ],
)
def test_what_a_store_lacks_is_told_in_a_line(s3: Any, words: list[str], told: str, tmp_path: Path) -> None:
    code, errors = ended(tmp_path, *words)
    assert code in (2, 3)
    assert told in errors
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1
