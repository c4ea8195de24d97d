"""Benchmark on an NVIDIA GPU: `python -m benchmarks.gpu --out FOLDER`.

Steps run one after another, the most important first, each in a process of its own with a time limit. Results
are in FOLDER/results.json as soon as a step has ended, and those of an interrupted step are kept as far as it
came. `--device cpu --tiny` is a dry run that checks that every step works.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu_steps import Settings

RESULTS = "results.json"
LOG = "log.txt"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the benchmark.

    Attributes:
        name: Name, and module in `benchmarks.gpu_steps` unless there is a command.
        limit_s: Time limit.
        command: Arguments of Python to run instead of a module; `{device}` is replaced.
    """

    name: str
    limit_s: float
    command: tuple[str, ...] | None = None


STEPS = (
    Step("machine", 60),
    Step(
        "tests",
        240,
        ("-m", "pytest", "-m", "cuda", "-q", "--maxfail=8", "--continue-on-collection-errors", "tests"),
    ),
    Step("doctor", 60, ("-m", "realtime_kp", "doctor", "--device", "{device}")),
    Step("latency", 240),
    Step("pipeline", 150),
    Step("kernels", 60),
    Step("variants", 180),
    Step("training", 180),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected steps; returns 0 if all of them succeeded, else 1."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    settings = Settings(options.device, options.tiny)
    if options.only_step is not None:
        _run_here(options.only_step, settings, out)
        return 0
    results: dict[str, Any] = {}
    for step in STEPS:
        if step.name in options.steps:
            results[step.name] = _run_apart(step, settings, out)
            (out / RESULTS).write_text(json.dumps(results, indent=1), encoding="utf-8")
            print(json.dumps({step.name: results[step.name]}, indent=1), flush=True)  # noqa: T201
    return 0 if all(result["outcome"] == "done" for result in results.values()) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json and log.txt")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a dry run")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: shows that each step works")
    names = [step.name for step in STEPS]
    parser.add_argument("--steps", nargs="+", choices=names, default=names, help="which steps, default all")
    parser.add_argument("--only-step", help=argparse.SUPPRESS)
    return parser


def _run_apart(step: Step, settings: Settings, out: Path) -> dict[str, Any]:
    """Run a step in a process of its own, so that a hang or a broken device does not end the others."""
    if step.command is not None:
        command = [part.format(device=settings.device) for part in step.command]
    else:
        command = ["-m", "benchmarks.gpu", "--only-step", step.name, "--out", str(out)]
        command += ["--device", settings.device, *(["--tiny"] if settings.tiny else [])]
    started_s = time.perf_counter()
    found = out / f"{step.name}.json"
    with open(out / LOG, "a", encoding="utf-8") as log:
        log.write(f"\n== {step.name}\n")
        log.flush()
        begins_at = log.tell()
        try:
            code = subprocess.run(
                [sys.executable, *command],
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=step.limit_s,
                check=False,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            ).returncode
            outcome = "done" if code == 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            outcome = f"ended after {step.limit_s:.0f} s"
    result: dict[str, Any] = {"outcome": outcome, "took_s": round(time.perf_counter() - started_s, 1)}
    if found.exists():
        result["found"] = json.loads(found.read_text(encoding="utf-8"))
        found.unlink()
    if step.command is not None or outcome != "done":
        with open(out / LOG, encoding="utf-8", errors="replace") as log:
            log.seek(begins_at)
            result["printed"] = log.read()[-3000:].splitlines()
    return result


def _run_here(name: str, settings: Settings, out: Path) -> None:
    found: dict[str, Any] = {}
    path = out / f"{name}.json"

    def record(key: str, value: Any) -> None:
        found[key] = value
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(found), encoding="utf-8")
        partial.replace(path)

    importlib.import_module(f"benchmarks.gpu_steps.{name}").run(settings, record)


if __name__ == "__main__":
    sys.exit(main())
