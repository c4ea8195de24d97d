"""`live`: draws the newest frame as soon as it is tracked, in a window, in browsers, or headless."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED
from realtime_kp.apps.exporting import exporting
from realtime_kp.apps.jobs import check_files, named_files
from realtime_kp.apps.live.loop import LiveLoop
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import print_summary, summarise, write_json
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError
from realtime_kp.pipeline import Pacer, build_pipeline
from realtime_kp.sinks import OutputLocks, check_rerun, window_problem
from realtime_kp.sources import (
    BrowserCamera,
    BrowserSource,
    FrameSource,
    SourceKind,
    display_name,
    open_source,
    source_kind,
)

if TYPE_CHECKING:
    from realtime_kp.apps.live.viewers import Viewers

log = logging.getLogger(__name__)


def run_live(source: str, config: AppConfig, console: Console, *, quiet: bool = False) -> int:
    """Track a source live.

    Returns:
        0; 6 where a file was damaged; 130 after a signal.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    if config.live.record is not None and config.live.record.suffix.lower() != ".mp4":
        raise ConfigError(f"recordings are written as .mp4, got {config.live.record}")
    check_files(config, config.live.record, [source])
    if config.live.rerun is not None:
        check_rerun(config.live.rerun)
    opened, viewers = _opened(source, config)
    show = config.live.window
    if show:
        problem = window_problem()
        if problem is not None:
            log.warning("%s: running without a window, as with --no-window", problem)
            show = False
    if config.input.reconnect == "auto":
        config = replace(config, input=replace(config.input, reconnect="forever"))
    pipeline = build_pipeline(
        opened,
        config,
        policy="drop_oldest",
        pacer=Pacer(),
        loop=config.live.loop,
        # Descriptors of two networks in one file could not be compared.
        select_model=config.output.features is None,
    )
    record = config.live.record
    locks = OutputLocks([*([] if record is None else [record]), *named_files(config)])
    with locks, StopSignals() as signals, exporting(config, source) as config:
        loop = LiveLoop(pipeline, config, show, viewers, console)
        with pipeline, loop:
            stopped_by = loop.run(signals)
    name = pipeline.source_info.name if pipeline.source_info else display_name(source)
    summary = summarise(
        "live", name, pipeline, loop.meter, written=loop.recorder.frames, stopped_by=stopped_by
    )
    if config.report.summary is not None:
        write_json(config.report.summary, summary.to_dict())
    if not quiet:
        print_summary(summary, console)
    if loop.lost is not None:
        raise loop.lost
    if pipeline.damage is not None and stopped_by == "end":
        log.warning("%s", pipeline.damage)
        return DAMAGED
    return INTERRUPTED if stopped_by == "signal" else DONE


def _opened(source: str, config: AppConfig) -> tuple[FrameSource, Viewers | None]:
    """The source, not yet entered, and the server for browsers, where there is to be one.

    Raises:
        ConfigError: The source is a browser's camera, and there is no server, or one that is read only.
    """
    if source_kind(source) is not SourceKind.BROWSER:
        return open_source(source, config.input, demo_frames=None), _viewers(source, config, None)
    if config.browser.address is None or config.browser.read_only:
        raise ConfigError(
            "live browser takes the camera of a visitor: it needs --serve PORT, not --read-only"
        )
    camera = BrowserCamera()
    return BrowserSource(camera, config.input), _viewers(source, config, camera)


def _viewers(source: str, config: AppConfig, camera: BrowserCamera | None) -> Viewers | None:
    if config.browser.address is None:
        return None
    from realtime_kp.serve import check_web

    check_web()
    from realtime_kp.apps.live.viewers import Viewers

    return Viewers(display_name(source), config, camera)
