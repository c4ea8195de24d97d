"""The command line: parses, wires, maps errors to exit codes. Nothing else."""

from __future__ import annotations

import gc
import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import yaml
from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.config import Dict
from rich.console import Console

from realtime_kp import __version__
from realtime_kp.apps.exit_codes import INTERNAL, INTERRUPTED, MODEL, OUTPUT, SOURCE, USAGE
from realtime_kp.config import (
    SECTIONS,
    AppConfig,
    BenchConfig,
    EvaluateConfig,
    InputConfig,
    LiveConfig,
    OutputConfig,
    PipelineConfig,
    RenderConfig,
    ReportConfig,
    SuperPointConfig,
    TrackingConfig,
    TrainConfig,
    VideoConfig,
    read_yaml,
)
from realtime_kp.errors import ConfigError, ModelError, RealtimeKpError, SinkError, SourceError
from realtime_kp.machine import missing_system_packages

log = logging.getLogger("realtime_kp")

_OTHER_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "doctor": ("superpoint",),
    "evaluate": ("superpoint", "report"),
    "train": (),
    "quantise": (),
}

COMMON = Group("Every command", sort_key=0)
EXIT_CODES: dict[type[RealtimeKpError], int] = {
    ConfigError: USAGE,
    SourceError: SOURCE,
    ModelError: MODEL,
    SinkError: OUTPUT,
}


Superpoint = Annotated[SuperPointConfig, Parameter(group="Keypoints")]
Tracking = Annotated[TrackingConfig, Parameter(group="Tracking")]
Threads = Annotated[PipelineConfig, Parameter(group="Pipeline")]
Render = Annotated[RenderConfig, Parameter(group="Drawing")]
Input = Annotated[InputConfig, Parameter(group="Input")]
Report = Annotated[ReportConfig, Parameter(group="Report")]
Output = Annotated[OutputConfig, Parameter(group="Output")]


class _Output(Console):
    def on_broken_pipe(self) -> None:
        raise  # rich would exit with 1: who reads our exit codes is told the true one


class Commands:
    """The four commands.

    Attributes:
        quiet: Print results and errors only.
        print_config: Print the settings as YAML instead of running.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.print_config = False
        self._console = _Output()

    def live(
        self,
        source: str = "0",
        /,
        *,
        superpoint: Superpoint = SuperPointConfig(),  # noqa: B008 - frozen
        tracking: Tracking = TrackingConfig(),  # noqa: B008
        pipeline: Threads = PipelineConfig(),  # noqa: B008
        render: Render = RenderConfig(),  # noqa: B008
        input: Input = InputConfig(),  # noqa: B008
        report: Report = ReportConfig(),  # noqa: B008
        output: Output = OutputConfig(),  # noqa: B008
        live: Annotated[LiveConfig, Parameter(group="Live")] = LiveConfig(),  # noqa: B008
    ) -> int:
        """Track keypoints in a live window.

        Args:
            source: Camera index or /dev/videoN, video file, picture, folder or glob of pictures,
                rtsp:// rtmp:// http(s):// address, or demo.
        """
        config = AppConfig(superpoint, tracking, pipeline, render, input, report, output, live=live)
        if self._shown("live", config):
            return 0
        from realtime_kp.apps.live.command import run_live

        return run_live(source, config, self._console, quiet=self.quiet)

    def video(
        self,
        *inputs: str,
        superpoint: Superpoint = SuperPointConfig(),  # noqa: B008
        tracking: Tracking = TrackingConfig(),  # noqa: B008
        pipeline: Threads = PipelineConfig(),  # noqa: B008
        render: Render = RenderConfig(),  # noqa: B008
        input: Input = InputConfig(),  # noqa: B008
        report: Report = ReportConfig(),  # noqa: B008
        # Before the section of the same name, which would take --output for itself.
        video: Annotated[VideoConfig, Parameter(group="Video")] = VideoConfig(),  # noqa: B008
        output: Output = OutputConfig(),  # noqa: B008
    ) -> int:
        """Track keypoints through every frame of videos or pictures and write annotated ones.

        Args:
            inputs: Video files, pictures, folders or globs of pictures, addresses, or demo.
        """
        config = AppConfig(superpoint, tracking, pipeline, render, input, report, output, video=video)
        if self._shown("video", config):
            return 0
        if not inputs:
            raise ConfigError("video needs an input: realtime-kp video INPUT [-o OUTPUT]")
        from realtime_kp.apps.video.command import run_video

        return run_video(list(inputs), config, self._console, quiet=self.quiet)

    def bench(
        self,
        *sources: str,
        superpoint: Superpoint = SuperPointConfig(),  # noqa: B008
        tracking: Tracking = TrackingConfig(),  # noqa: B008
        pipeline: Threads = PipelineConfig(),  # noqa: B008
        render: Render = RenderConfig(),  # noqa: B008
        input: Input = InputConfig(),  # noqa: B008
        # Before the section of the same name, which would take --report for itself.
        bench: Annotated[BenchConfig, Parameter(group="Bench")] = BenchConfig(),  # noqa: B008
        report: Report = ReportConfig(),  # noqa: B008
    ) -> int:
        """Measure latency and throughput, or the tracks with --known-motion and --real-motion.

        Args:
            sources: What to read, demo by default, short ones start over; photographs or demo:PICTURE?… for
                --known-motion, videos for --real-motion.
        """
        config = AppConfig(superpoint, tracking, pipeline, render, input, report, bench=bench)
        if self._shown("bench", config):
            return 0
        if report.log is not None:
            raise ConfigError("bench writes no frame log; use --summary for its figures")
        if bench.known_motion:
            from realtime_kp.apps.bench.known_motion import run_known_motion

            return run_known_motion(list(sources), config, self._console, quiet=self.quiet)
        if bench.real_motion:
            from realtime_kp.apps.bench.real_motion import run_real_motion

            return run_real_motion(list(sources), config, self._console, quiet=self.quiet)
        if len(sources) > 1:
            raise ConfigError(f"bench measures one source at a time, got {len(sources)}")
        from realtime_kp.apps.bench.command import run_bench

        return run_bench(sources[0] if sources else "demo", config, self._console, quiet=self.quiet)

    def doctor(self, *, superpoint: Superpoint = SuperPointConfig()) -> int:  # noqa: B008
        """Tell what this machine offers, with a real inference on each engine."""
        self._refuse_to_show("doctor")
        from realtime_kp.apps.doctor import run_doctor

        return run_doctor(superpoint, self._console)

    def train(
        self,
        *,
        images: Annotated[list[Path], Parameter(name="--images", consume_multiple=True)],
        out: Path,
        train: Annotated[TrainConfig, Parameter(name="*", group="Training")] = TrainConfig(),  # noqa: B008
    ) -> int:
        """Train a SuperPoint from scratch on images that need no labels.

        Args:
            images: Folders (with everything below), zip files, single images.
            out: Folder for labels, checkpoint and, in its folder model, what transformers loads.
        """
        self._refuse_to_show("train")
        from realtime_kp.apps.train.command import run_train

        return run_train(images, out, train, self._console, quiet=self.quiet)

    def quantise(
        self,
        *,
        model: str,
        images: Annotated[list[Path], Parameter(name="--images", consume_multiple=True)],
        out: Path | None = None,
    ) -> int:
        """Make an 8-bit version of a model for OpenVINO, used with --precision int8.

        Args:
            model: A bundled name or a model folder.
            images: Pictures to calibrate with: folders, zip files, single images.
            out: Folder of the result; the model's own without one.
        """
        self._refuse_to_show("quantise")
        from realtime_kp.apps.quantise import run_quantise

        return run_quantise(model, images, out, self._console, quiet=self.quiet)

    def evaluate(
        self,
        *,
        superpoint: Superpoint = SuperPointConfig(),  # noqa: B008
        report: Report = ReportConfig(),  # noqa: B008
        against: Annotated[list[str], Parameter(name="--against", consume_multiple=True)] = [],  # noqa: B006
        data: Path | None = None,
        evaluate: Annotated[EvaluateConfig, Parameter(name="*", group="Pairs")] = EvaluateConfig(),  # noqa: B008
    ) -> int:
        """Hold methods against each other on pairs of pictures with known homographies, and on video.

        Args:
            against: What --model is compared with: orb, sift, xfeat, or whatever --model takes.
            data: Folder or zip file of pictures, warped in pairs, and of real pairs with homographies
                (H_1_2 beside 1.ppm and 2.ppm; H1to3p.xml beside graf1.png and graf3.png). Of videos
                in it, frames half a second and a second apart are judged by their epipolar geometry.
        """
        self._refuse_to_show("evaluate")
        from realtime_kp.apps.evaluate.command import run_evaluate

        model = "base" if superpoint.model == "auto" else superpoint.model
        names = list(dict.fromkeys([model, *against]))
        return run_evaluate(names, data, evaluate, superpoint, report, self._console, quiet=self.quiet)

    def _refuse_to_show(self, command: str) -> None:
        if self.print_config:
            raise ConfigError(f"--print-config is for live, video and bench, not for {command}")

    def _shown(self, command: str, config: AppConfig) -> bool:
        if self.print_config:
            sys.stdout.write(yaml.safe_dump(config.to_dict(SECTIONS[command]), sort_keys=False))
        return self.print_config


def run() -> NoReturn:
    """The command: `main` as a process of its own."""
    code = main()
    # What the large libraries leave behind lives until the end; to look through all of it takes a second.
    gc.freeze()
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; those of this process if None.

    Returns:
        The exit code, as the README lists them.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    verbose = "-v" in tokens or "--verbose" in tokens
    try:
        code = make_app().meta(tokens, exit_on_error=False, print_error=False)
        return code if isinstance(code, int) else 0
    except CycloptsError as exc:
        return _tell(" ".join(str(exc).split()), USAGE, verbose)
    except RealtimeKpError as exc:
        return _tell(str(exc), EXIT_CODES[type(exc)], verbose)
    except KeyboardInterrupt:
        return _tell("interrupted", INTERRUPTED, verbose)
    except BrokenPipeError:
        # Whoever read the output has gone; flushing the rest at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT
    except ImportError as exc:
        return _tell(_missing_library(exc), MODEL, verbose)
    except Exception as exc:
        return _tell(f"internal error, please report it: {type(exc).__name__}: {exc}", INTERNAL, verbose)


def make_app() -> App:
    """The command line: the commands, and the options that all of them have."""
    app = App(
        name="realtime-kp",
        version=__version__,
        help="Real-time SuperPoint keypoint tracking for webcams, video files and network streams.",
        result_action="return_value",
    )
    commands = Commands()
    for command in (
        commands.live,
        commands.video,
        commands.bench,
        commands.doctor,
        commands.train,
        commands.quantise,
        commands.evaluate,
    ):
        app.command(command)

    @app.meta.default
    def launch(
        *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Annotated[Path | None, Parameter(name="--config", group=COMMON)] = None,
        print_config: Annotated[bool, Parameter(name="--print-config", negative="", group=COMMON)] = False,
        verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="", group=COMMON)] = False,
        quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", group=COMMON)] = False,
    ) -> Any:
        """Options of every command.

        Args:
            words: The command and its own flags.
            config: Read settings from this YAML file; flags override it.
            print_config: Print the settings as YAML and stop.
            verbose: Tell more; show tracebacks.
            quiet: Results and errors only.
        """
        _set_up_logging(verbose=verbose, quiet=quiet)
        commands.quiet, commands.print_config = quiet, print_config
        if config is not None:
            values = _for_command(read_yaml(config), words)
            app.config = (Dict(values, source=str(config)),)
        return app(words, exit_on_error=False, print_error=False)

    return app


def _for_command(values: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """A file's sections below the command's name, where cyclopts looks for them.

    At the top it would skip those named like a command, `video:` for one. What concerns other commands only
    is left out: one file may serve all of them.
    """
    known = {**SECTIONS, **_OTHER_SECTIONS}
    command = next((word for word in words if word in known), None)
    if command is None:
        return {}
    others = {section for sections in known.values() for section in sections} - set(known[command])
    return {command: {section: value for section, value in values.items() if section not in others}}


def _set_up_logging(*, verbose: bool, quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)


def _missing_library(exc: ImportError) -> str:
    packages = missing_system_packages()
    if packages:
        return f"system libraries are missing ({exc}): apt-get install {' '.join(packages)}"
    return f"a package is missing or broken: {exc}; reinstall with pip install realtime-kp"


def _tell(message: str, code: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    sys.stderr.write(f"realtime-kp: {message}\n")
    return code
