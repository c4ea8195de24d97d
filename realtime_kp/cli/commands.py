"""The commands and their flags; each calls its room in `apps`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from realtime_kp.apps.console import PlainConsole
from realtime_kp.config import (
    SECTIONS,
    AppConfig,
    BenchConfig,
    CalibrateConfig,
    ConvertConfig,
    DrawConfig,
    EvaluateConfig,
    ExportConfig,
    FleetConfig,
    InputConfig,
    LiveConfig,
    OutputConfig,
    PipelineConfig,
    RenderConfig,
    ReportConfig,
    ServeConfig,
    SuperPointConfig,
    TrackingConfig,
    TrainConfig,
    VideoConfig,
    dump_yaml,
)
from realtime_kp.errors import ConfigError

Superpoint = Annotated[SuperPointConfig, Parameter(group="Keypoints")]
Report = Annotated[ReportConfig, Parameter(group="Report")]
Output = Annotated[OutputConfig, Parameter(group="Output")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Processing:
    """Settings that live, video and bench share."""

    superpoint: Superpoint = field(default_factory=SuperPointConfig)
    tracking: Annotated[TrackingConfig, Parameter(group="Tracking")] = field(default_factory=TrackingConfig)
    pipeline: Annotated[PipelineConfig, Parameter(group="Pipeline")] = field(default_factory=PipelineConfig)
    render: Annotated[RenderConfig, Parameter(group="Drawing")] = field(default_factory=RenderConfig)
    input: Annotated[InputConfig, Parameter(group="Input")] = field(default_factory=InputConfig)

    def with_sections(self, **sections: Any) -> AppConfig:
        """These sections and those of one command."""
        return AppConfig(**{name: getattr(self, name) for name in self.__slots__}, **sections)


class Commands:
    """The commands of the command line.

    Attributes:
        quiet: Print results and errors only.
        print_config: Print the settings as YAML instead of running.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.print_config = False
        self._console = PlainConsole()

    def live(
        self,
        source: str = "0",
        /,
        *,
        processing: Processing = Processing(),
        report: Report = ReportConfig(),  # noqa: B008
        output: Output = OutputConfig(),  # noqa: B008
        live: Annotated[LiveConfig, Parameter(group="Live")] = LiveConfig(),  # noqa: B008
        browser: Annotated[ServeConfig, Parameter(group="Browser")] = ServeConfig(),  # noqa: B008
    ) -> int:
        """Track keypoints in a live window, and in browsers with --serve.

        Args:
            source: Camera index or /dev/videoN, video file, picture, folder or glob of pictures,
                rtsp:// rtmp:// http(s):// address, demo, or browser: the camera of a visitor (--serve).
        """
        config = processing.with_sections(report=report, output=output, live=live, browser=browser)
        if self._shown("live", config):
            return 0
        from realtime_kp.apps.live.command import run_live

        return run_live(source, config, self._console, quiet=self.quiet)

    def video(
        self,
        *inputs: str,
        processing: Processing = Processing(),
        report: Report = ReportConfig(),  # noqa: B008
        # Before the section `output`, which would take --output for itself.
        video: Annotated[VideoConfig, Parameter(group="Video")] = VideoConfig(),  # noqa: B008
        output: Output = OutputConfig(),  # noqa: B008
        fleet: Annotated[FleetConfig, Parameter(group="Fleet")] = FleetConfig(),  # noqa: B008
    ) -> int:
        """Track keypoints through every frame of videos or pictures and write annotated ones.

        Args:
            inputs: Video files, pictures, folders or globs of pictures, addresses, or demo.
        """
        config = processing.with_sections(report=report, output=output, video=video, fleet=fleet)
        if self._shown("video", config):
            return 0
        if not inputs:
            raise ConfigError("video needs an input: realtime-kp video INPUT [-o OUTPUT]")
        from realtime_kp.apps.video.command import run_video

        return run_video(list(inputs), config, self._console, quiet=self.quiet)

    def bench(
        self,
        *sources: str,
        processing: Processing = Processing(),
        # Before the section `report`, which would take --report for itself.
        bench: Annotated[BenchConfig, Parameter(group="Bench")] = BenchConfig(),  # noqa: B008
        report: Report = ReportConfig(),  # noqa: B008
    ) -> int:
        """Measure latency and throughput, or the tracks with --known-motion and --real-motion.

        Args:
            sources: What to read, demo by default, short ones start over; photographs or demo:PICTURE?… for
                --known-motion, videos for --real-motion.
        """
        config = processing.with_sections(report=report, bench=bench)
        if self._shown("bench", config):
            return 0
        if report.log is not None:
            raise ConfigError("bench writes no frame log; use --summary for its figures")
        if bench.why and not bench.known_motion:
            raise ConfigError("--why tells where the tracks of --known-motion are lost: give both")
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

    def calibrate(
        self,
        source: str,
        /,
        *,
        calibrate: Annotated[CalibrateConfig, Parameter(name="*", group="Calibration")],
    ) -> int:
        """Find the lens of a camera from views of a chessboard or ChArUco board, for --camera.

        Args:
            source: Camera index or /dev/videoN, video file, folder or glob of pictures, or address.
        """
        self._refuse_to_show("calibrate")
        from realtime_kp.apps.calibrate import run_calibrate

        return run_calibrate(source, calibrate, self._console, quiet=self.quiet)

    def draw(
        self,
        clip: str,
        /,
        *,
        draw: Annotated[DrawConfig, Parameter(name="*", group="Drawing")],
    ) -> int:
        """Draw saved tracks onto their video again, without the network.

        Args:
            clip: The video that the tracks are of.
        """
        self._refuse_to_show("draw")
        from realtime_kp.apps.draw import run_draw

        return run_draw(clip, draw, self._console, quiet=self.quiet)

    def export(
        self,
        tracks: Path,
        /,
        *,
        to: str,
        out: Annotated[Path, Parameter(name=["--output", "-o"])],
        export: Annotated[ExportConfig, Parameter(name="*", group="Export")] = ExportConfig(),  # noqa: B008
    ) -> int:
        """Write a saved tracks table for another tool.

        Args:
            tracks: The table, as --tracks writes it: .csv, .jsonl or .parquet.
            to: colmap (a folder), nuke (.nk), 3de (.txt), blender (.py), after-effects (.txt), tapvid (.npz),
                vot (a folder), mcap (.mcap), rerun (.rrd).
            out: The file or folder to write.
        """
        self._refuse_to_show("export")
        from realtime_kp.apps.export import run_export

        return run_export(tracks, to, out, export, self._console, quiet=self.quiet)

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
        """Train a network for keypoints and descriptors on images that need no labels.

        Args:
            images: Folders (with everything below), zip files, single images.
            out: Folder for labels, checkpoint and, in its folder model, the weights for --model.
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

    def convert(self, *, convert: Annotated[ConvertConfig, Parameter(name="*", group="Conversion")]) -> int:
        """Write a model for ONNX Runtime, TensorRT, OpenVINO or libtorch."""
        self._refuse_to_show("convert")
        from realtime_kp.apps.convert import run_convert

        return run_convert(convert, self._console, quiet=self.quiet)

    def evaluate(
        self,
        *,
        superpoint: Superpoint = SuperPointConfig(),  # noqa: B008
        report: Report = ReportConfig(),  # noqa: B008
        against: Annotated[list[str], Parameter(name="--against", consume_multiple=True)] = [],  # noqa: B006
        data: Path | None = None,
        evaluate: Annotated[EvaluateConfig, Parameter(name="*", group="Pairs")] = EvaluateConfig(),  # noqa: B008
    ) -> int:
        """Hold methods against each other on pairs of pictures of known geometry, and on video.

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
            values = config.to_dict(SECTIONS[command])
            if "browser" in values:
                values["browser"]["token"] = None  # it may come from the environment
            sys.stdout.write(dump_yaml(values))
        return self.print_config
