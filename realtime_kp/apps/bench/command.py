"""`bench`: measures speed, compares, and writes the report."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from realtime_kp.apps.bench.summary import bench_dict, print_bench, print_serving
from realtime_kp.apps.console import progress_bars
from realtime_kp.apps.exit_codes import DONE, INTERRUPTED, SLOWER
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import changes_table, write_json
from realtime_kp.bench.comparison import Comparison, planned, run_comparison
from realtime_kp.bench.latency import LoopResult, measure
from realtime_kp.bench.regression import compare, read_baseline, regressions
from realtime_kp.bench.report.page import check_plotly, report_page
from realtime_kp.bench.stage_costs import StageCost, measure_stage_costs
from realtime_kp.bench.trace import trace
from realtime_kp.config import AppConfig
from realtime_kp.machine import peak_memory_mb
from realtime_kp.sinks import check_output, write_atomically

if TYPE_CHECKING:
    from realtime_kp.apps.bench.fleet import FleetRate
    from realtime_kp.bench.serving import ServingResult

log = logging.getLogger(__name__)


def run_bench(source: str, config: AppConfig, console: Console, *, quiet: bool = False) -> int:
    """Measure the closed loop, and whatever else the settings of `bench` ask for.

    Returns:
        0; 7 where it is slower than the baseline by more than the tolerance; 130 after a signal.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    for file in (config.report.summary, config.bench.html, config.bench.profile):
        if file is not None:
            check_output(file, overwrite=config.report.overwrite, inputs=[source])
    if config.bench.html is not None:
        check_plotly()
    if config.bench.serve:
        from realtime_kp.serve import check_web

        check_web()
    if config.bench.ray:
        from realtime_kp.apps.fleet.cluster import check_ray

        check_ray()
    before = None if config.bench.baseline is None else read_baseline(config.bench.baseline)
    further = planned(config)
    with StopSignals() as signals:
        closed = _measure(source, config, None, signals, quiet)
        opened = None
        if config.bench.rate is not None and not signals.received:
            opened = _measure(source, config, config.bench.rate, signals, quiet)
        # Peak memory is read before the reference loops, which allocate memory of their own.
        memory_mb = peak_memory_mb()
        pieces: list[StageCost] = []
        if config.bench.pieces and not signals.received:
            pieces = measure_stage_costs(
                source, config, config.bench.compare_frames, stopped=lambda: bool(signals.received)
            )
        served = None
        if config.bench.serve and not signals.received:
            served = _serve(source, config, signals, quiet)
        rates: list[FleetRate] = []
        if config.bench.ray and not signals.received:
            from realtime_kp.apps.bench.fleet import measure_fleet

            rates = measure_fleet(source, config, signals)
        compared = None
        if further and not signals.received:
            compared = _compare(source, config, further, signals, quiet)
    if closed is None:
        log.warning("stopped during the warm-up: nothing was measured")
        return INTERRUPTED
    values = bench_dict(
        config, closed, opened, pieces, compared, memory_mb=memory_mb, interrupted=bool(signals.received)
    )
    if served is not None:
        values["serving"] = served.to_dict()
    if rates:
        values["fleet"] = [rate.to_dict() for rate in rates]
    _write(config, values, {"closed loop": closed, "open loop": opened})
    if not quiet:
        print_bench(console, closed, opened, pieces, compared, values)
        if served is not None:
            print_serving(console, served)
        if rates:
            from realtime_kp.apps.bench.fleet import print_fleet

            print_fleet(console, rates)
    if signals.received:
        return INTERRUPTED
    return DONE if before is None else _judge(before, values, config.bench.tolerance, console)


def _write(config: AppConfig, values: Mapping[str, Any], loops: Mapping[str, LoopResult | None]) -> None:
    records = {name: loop.records for name, loop in loops.items() if loop is not None}
    if config.report.summary is not None:
        write_json(config.report.summary, values)
    if config.bench.profile is not None:
        write_json(config.bench.profile, trace(records))
    if config.bench.html is not None:
        write_atomically(config.bench.html, report_page(values, records).encode(errors="backslashreplace"))


def _judge(
    before: Mapping[str, Any], now: Mapping[str, Any], tolerance_percent: float, console: Console
) -> int:
    changes = compare(before, now)
    worse = regressions(changes, tolerance_percent)
    console.print(changes_table(changes, worse))
    if before.get("machine") != now["machine"]:
        log.warning("the baseline comes from another machine, or from other versions of the libraries")
    return SLOWER if worse else DONE


def _measure(
    source: str, config: AppConfig, rate: float | None, signals: StopSignals, quiet: bool
) -> LoopResult | None:
    label = "closed loop" if rate is None else f"open loop at {rate:g}/s"
    with progress_bars(quiet) as bars:
        task = bars.add_task(label, total=config.bench.warmup + config.bench.frames)
        return measure(
            source,
            config,
            rate=rate,
            stopped=lambda: signals.received,
            progress=lambda: bars.advance(task),
        )


def _serve(source: str, config: AppConfig, signals: StopSignals, quiet: bool) -> ServingResult | None:
    from realtime_kp.bench.serving import measure_serving

    with progress_bars(quiet) as bars:
        task = bars.add_task("one viewer", total=config.bench.warmup + config.bench.frames)
        return measure_serving(
            source, config, stopped=lambda: bool(signals.received), progress=lambda: bars.advance(task)
        )


def _compare(
    source: str, config: AppConfig, total: int, signals: StopSignals, quiet: bool
) -> Comparison | None:
    with progress_bars(quiet) as bars:
        task = bars.add_task("comparison", total=total)
        return run_comparison(
            source,
            config,
            stopped=lambda: bool(signals.received),
            progress=lambda: bars.advance(task),
        )
