"""Damaged files, by the hundred: whatever the bytes are, reading ends soon and in order."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue

import pytest

from tests.conftest import child_environment, numbered_image, write_clip

EACH_S = 5.0
CONTAINERS = {"mp4": "libx264", "mkv": "libx264", "avi": "libx264", "ts": "libx264"}
# Reads every file that it is told of, and says how it went.
READER = """
import sys
from realtime_kp.errors import SourceError
from realtime_kp.sources import open_source
for line in sys.stdin:
    try:
        with open_source(line.strip()) as source:
            result = f"{sum(1 for _ in source)} frames"
            result += " damaged" if source.damage else ""
    except SourceError as exc:
        result = f"refused: {exc}".replace("\\n", " ")
    print(result, flush=True)
"""


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Cut, flipped bits, zeros, a piece that is missing, twice there, or elsewhere."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if len(damaged) < 16:
            break
        at, length = rng.randrange(len(damaged)), rng.randrange(1, 200)
        kind = rng.randrange(6)
        if kind == 0:
            del damaged[at:]
        elif kind == 1:
            for _ in range(rng.randrange(1, 20)):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        elif kind == 2:
            damaged[at : at + length] = bytes(len(damaged[at : at + length]))
        elif kind == 3:
            del damaged[at : at + length]
        elif kind == 4:
            damaged[at:at] = damaged[at : at + length]
        else:
            piece = bytes(damaged[at : at + length])
            place = rng.randrange(len(damaged))
            damaged[place : place + len(piece)] = piece
    return bytes(damaged)


class Reader:
    """The child process that reads; it must outlive all files."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(),
        )
        self._lines: Queue[str] = Queue()
        self._thread = threading.Thread(target=self._pump)
        self._thread.start()

    def _pump(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def read(self, path: Path, within_s: float) -> str | None:
        """What came of a file; None where it took too long or the child died."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        try:
            return self._lines.get(timeout=within_s)
        except Empty:
            return None

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._thread.join()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("each", [40, pytest.param(300, marks=pytest.mark.soak)])
def test_mutated_files_end_soon_and_in_order(tmp_path: Path, each: int) -> None:
    reader = Reader()
    results: list[str] = []
    try:
        for suffix, codec in CONTAINERS.items():
            whole = write_clip(
                tmp_path / f"whole.{suffix}", [numbered_image(i) for i in range(25)], codec=codec
            )
            # The first one includes the imports.
            assert reader.read(whole, 60) == "25 frames"
            data = whole.read_bytes()
            for seed in range(each):
                path = tmp_path / f"mutant.{suffix}"
                path.write_bytes(mutate(data, random.Random(f"{suffix} {seed}")))
                result = reader.read(path, EACH_S)
                assert result is not None, f"{suffix} seed {seed}: exit {reader.process.poll()}"
                results.append(result)
    finally:
        reader.close()
    # Mutations that change nothing that matters, that damage, and that make a file unreadable: all are there.
    assert any(result.startswith("refused") for result in results)
    assert any(result.endswith("damaged") for result in results)
    assert any(result == "25 frames" for result in results)
