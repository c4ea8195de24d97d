"""How long exports of a large table take, and how much memory: each format in a process of its own.

python -m benchmarks.exports [--rows 1000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from realtime_kp.exports import EXPORTED, FORMATS, export_tracks, read_tracks

_TRACKS_A_FRAME, _LENGTH = 500, 40
_CHILD = "import sys, benchmarks.exports as b; b.export_one(*sys.argv[1:])"
_TIMEOUT_S = 900.0


def write_table(path: Path, rows: int) -> None:
    """Write a table like those of long videos: 500 tracks in each frame, each 40 frames long.

    The points are those of a scene with depth before which a camera moves sideways.
    """
    number = np.arange(rows)
    frame = number // _TRACKS_A_FRAME
    place = number % _TRACKS_A_FRAME
    ids = 1 + place + _TRACKS_A_FRAME * ((frame + place) // _LENGTH)
    rng = np.random.default_rng(0)
    age, count = (frame + place) % _LENGTH, int(ids.max()) + 1
    nearness = rng.uniform(0.5, 2, count)[ids]
    x = rng.uniform(0, 1800, count)[ids] + 2.0 * nearness * age + rng.normal(0, 0.1, rows)
    y = rng.uniform(0, 1000, count)[ids] + 0.5 * nearness * age + rng.normal(0, 0.1, rows)
    columns = (
        frame,
        frame / 30,
        ids,
        x,
        y,
        rng.uniform(0, 1, rows),
        np.full(rows, 9),
        rng.uniform(0, 1, rows),
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write("frame,time_s,track_id,x,y,score,length,sigma_px,state,label\n")
        form = "%d,%.6f,%d,%.3f,%.3f,%.5f,%d,%.3f,confirmed,\n"
        file.writelines(
            form % values for values in zip(*(column.tolist() for column in columns), strict=True)
        )
    path.with_name(path.name + ".json").write_text(json.dumps({"width": 1920, "height": 1080, "fps": 30}))


def export_one(table: str, name: str, out: str) -> None:
    """Export a table, and print seconds and megabytes as a line of JSON."""
    started_s = time.perf_counter()
    tracks = export_tracks(read_tracks(table, EXPORTED), name, Path(out))
    took_s = time.perf_counter() - started_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"tracks": tracks, "took_s": took_s, "peak_mb": peak_mb}) + "\n")


def measure(rows: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Seconds, peak of memory and number of tracks by format."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "t.csv"
        write_table(table, rows)
        for name in names:
            out = Path(folder) / f"{name}{FORMATS[name]().suffix}"
            command = [sys.executable, "-c", _CHILD, str(table), name, str(out)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    table = Table(title=f"{options.rows:,} rows, CSV read included")
    for column in ("format", "seconds", "peak MB", "tracks"):
        table.add_column(column)
    for name, one in measure(options.rows, list(FORMATS)).items():
        table.add_row(name, f"{one['took_s']:.1f}", f"{one['peak_mb']:.0f}", f"{one['tracks']:.0f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
