"""Damaged files under the real command: what decodes is written, and nothing hangs."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import av
import pytest

from tests.apps.command import Command
from tests.conftest import numbered_image, write_clip
from tests.sources.test_mutations import CONTAINERS, EACH_S, mutate

WORDS = ["--model", "small", "--resize", "64", "-o", "out.mp4", "--summary", "s.json", "--overwrite"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [6, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_mutated_files_through_the_command(tmp_path: Path, count: int) -> None:
    codes = []
    write_clip(tmp_path / "whole.mp4", [numbered_image(0)])
    for _ in range(2):  # the first run converts the network, the second tells what starting takes
        started_s = time.perf_counter()
        with Command(tmp_path, "video", "whole.mp4", *WORDS) as command:
            assert command.ended(60)[0] == 0
        start_s = time.perf_counter() - started_s
    for number in range(count):
        suffix = list(CONTAINERS)[number % len(CONTAINERS)]
        mutant = tmp_path / f"mutant.{suffix}"
        if number == 0:  # what becomes of the others is left to chance: this one is surely damaged
            whole = write_clip(tmp_path / "long.mkv", [numbered_image(i) for i in range(100)])
            mutant = tmp_path / "cut.mkv"
            mutant.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        else:
            whole = write_clip(tmp_path / f"whole.{suffix}", [numbered_image(i) for i in range(25)])
            mutant.write_bytes(mutate(whole.read_bytes(), random.Random(f"command {number}")))
        for name in ("out.mp4", "s.json"):
            (tmp_path / name).unlink(missing_ok=True)
        started_s = time.perf_counter()
        with Command(tmp_path, "video", mutant.name, *WORDS) as command:
            code, errors = command.ended(30)
        assert time.perf_counter() - started_s < start_s + EACH_S, f"number {number}"
        codes.append(code)
        assert "Traceback" not in errors
        assert code in (0, 3, 6), (number, errors)
        if code == 3:
            assert errors.splitlines()[-1].startswith("realtime-kp: ")
            assert not (tmp_path / "out.mp4").exists()
            continue
        told = re.findall(r"decoded (\d+) of about (\d+)", errors)
        assert len(told) == (code == 6), (number, errors)
        written = json.loads((tmp_path / "s.json").read_text())["frames"]["written"]
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert sum(1 for _ in container.decode(video=0)) == written > 0
        assert all(int(decoded) == written for decoded, _ in told)
    assert codes[0] == 6
    assert len(set(codes)) > 1
