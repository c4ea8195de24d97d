"""Jobs: which input is written to which outputs, checked before any work is done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from realtime_kp.apps.remote.addresses import address_of
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.exports import check_export
from realtime_kp.sinks import (
    WRITABLE,
    check_features_name,
    check_output,
    check_table_name,
    notes_file,
    picture_targets,
)
from realtime_kp.sources import STANDARD_INPUT, SourceKind, list_pictures, part_order, source_kind

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its outputs.

    Attributes:
        source: The input.
        config: Settings with the output paths of this input.
        target: The annotated file or folder; None without one.
        pictures: Whether `target` is an image, or a folder of images.
        parts: Further inputs that belong to the same video.
        copies: Folder of the local copies of what is in an object store; None where nothing is.
    """

    source: str
    config: AppConfig
    target: Path | None
    pictures: bool
    parts: tuple[str, ...] = ()
    copies: Path | None = None

    @property
    def name(self) -> str:
        """The input as the user names it."""
        return shown(self.source, self.copies)

    @property
    def outputs(self) -> list[Path]:
        """All files and folders that it writes."""
        return [*([] if self.target is None else [self.target]), *named_files(self.config)]

    @property
    def into_folder(self) -> bool:
        """Whether `target` is a folder of images."""
        return self.pictures and self.target is not None and self.target.suffix.lower() not in WRITABLE


def plan_jobs(sources: list[str], config: AppConfig) -> list[Job]:
    """Assign outputs to each input.

    With several inputs `--output` is a folder, and names of the other files are prefixed with the name of the
    input. An input that is an output of another one is skipped, since `*.mp4` matches earlier results as
    well.

    Raises:
        ConfigError: Two inputs would be written to the same file, or a name has the wrong suffix.
    """
    if config.video.concat and len(sources) > 1:
        first, *parts = part_order(sources)
        (job,) = plan_jobs([first], config)
        return [replace(job, parts=tuple(parts))]
    several = len(sources) > 1
    stems = [output_stem(source) for source in sources]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ConfigError(f"two inputs are called {twice!r} and would be written to one file; run them apart")
    jobs = []
    for source, stem in zip(sources, stems, strict=True):
        target, pictures = _target(source, stem, config, several)
        jobs.append(Job(source, _with_prefix(config, f"{stem}_") if several else config, target, pictures))
    return _without_results(jobs)


def _without_results(jobs: list[Job]) -> list[Job]:
    targets = {job.target.absolute(): job.source for job in jobs if job.target is not None}
    inputs = []
    for job in jobs:
        origin = targets.get(Path(job.source).absolute())
        if origin is None or origin == job.source:
            inputs.append(job)
        else:
            log.info("%s is skipped: it is an output of %s", job.source, origin)
    return inputs


def output_stem(source: str) -> str:
    """Base name of the outputs of a source: a file's name without suffix, the last part of an address."""
    kind = source_kind(source)
    if kind is SourceKind.DEMO:
        return "demo"
    if source.isdecimal():
        return f"camera{source}"
    if source in STANDARD_INPUT:
        return "stdin"
    path = Path(urlsplit(source).path if kind is SourceKind.STREAM else source)
    if kind is SourceKind.GLOB:
        path = path.parent
    stem = path.name if kind in (SourceKind.FOLDER, SourceKind.GLOB) else path.stem
    return (stem or path.resolve().name).strip("._") or "stream"


def _target(source: str, stem: str, config: AppConfig, several: bool) -> tuple[Path | None, bool]:
    if not config.video.annotate:
        return None, False
    output = config.video.output
    kind = source_kind(source)
    pictures, single = kind.pictures, kind is SourceKind.PICTURE
    if several:
        folder = output or Path()
        if output is not None and not folder.is_dir():
            raise ConfigError(f"with several inputs --output must be an existing folder, got {output}")
        output = None
    else:
        folder = Path()
        if output is not None and output.is_dir() and not (pictures and not single):
            folder, output = output, None
    if output is None:
        suffix = _picture_suffix(source) if single else "" if pictures else ".mp4"
        return folder / f"{stem}_tracks{suffix}", pictures
    if output.suffix.lower() == ".mp4":
        return output, False
    if not pictures:
        raise ConfigError(f"annotated video is written as .mp4, got {output}")
    if output.suffix and output.suffix.lower() not in WRITABLE:
        raise ConfigError(f"pictures are written as {' '.join(sorted(WRITABLE))}, got {output}")
    if single and not output.suffix:
        raise ConfigError(f"the folder {output} does not exist; make it, or give the picture's name")
    if not single and output.suffix:
        raise ConfigError(f"several pictures are written into a folder or an .mp4, got {output}")
    return output, True


def _picture_suffix(source: str) -> str:
    suffix = Path(source).suffix.lower()
    return suffix if suffix in WRITABLE else ".png"


def shown(path: str | Path, copies: Path | None) -> str:
    """A name as the user gave it: an address where it is the copy of a file in an object store."""
    return (None if copies is None else address_of(Path(path), copies)) or str(path)


def _with_prefix(config: AppConfig, prefix: str) -> AppConfig:
    return map_outputs(config, lambda path: path.with_name(prefix + path.name))


def map_outputs(config: AppConfig, change: Callable[[Path], Path]) -> AppConfig:
    """Settings whose tables, exports and reports have other names; that of the video stays."""

    def name(path: Path | None) -> Path | None:
        return None if path is None else change(path)

    return replace(
        config,
        output=replace(
            config.output,
            tracks=name(config.output.tracks),
            features=name(config.output.features),
            poses=name(config.output.poses),
            export=";".join(f"{form}:{change(file)}" for form, file in config.output.exports) or None,
        ),
        report=replace(config.report, summary=name(config.report.summary), log=name(config.report.log)),
    )


def check_outputs(job: Job, sources: list[str]) -> None:
    """Check that the outputs of `video` can be written and replace nothing by accident.

    Raises:
        ConfigError: A suffix is unknown, or two outputs have the same name.
        SinkError: An output exists, is an input, or its folder is missing.
    """
    single = job.target if job.target is not None and not job.into_folder else None
    check_files(job.config, single, sources)
    if job.into_folder and job.target is not None:
        pictures = list_pictures(job.source)
        if any(job.target.exists() and job.target.samefile(picture.parent) for picture in pictures):
            raise SinkError(f"{job.target} is the input folder itself; choose another output")
        for name in picture_targets(job.target, pictures):
            if name.exists() and not job.config.report.overwrite:
                raise SinkError(
                    f"{name} exists already; add --overwrite to replace it, or choose another folder"
                )


def check_files(config: AppConfig, annotated: Path | None, sources: list[str]) -> None:
    """Check that files can be written and replace nothing by accident.

    Args:
        config: Names of tables and reports.
        annotated: The annotated video or image, if there is one.
        sources: Inputs of the run.

    Raises:
        ConfigError: A suffix is unknown, or two outputs have the same name.
        SinkError: An output exists, is an input, or its folder is missing.
    """
    output = config.output
    if output.tracks is not None:
        check_table_name(output.tracks)
    if output.features is not None:
        check_features_name(output.features)
    if output.poses is not None:
        check_table_name(output.poses, "--poses")
    files = [*([] if annotated is None else [annotated]), *named_files(config)]
    if len({path.absolute() for path in files}) < len(files):
        raise ConfigError(f"two outputs would be written to one file: {', '.join(map(str, files))}")
    for form, file in output.exports:
        check_export(form, file, overwrite=config.report.overwrite, inputs=sources)
        files.remove(file)
    for path in files:
        check_output(path, overwrite=config.report.overwrite, inputs=sources)


def named_files(config: AppConfig) -> list[Path]:
    """The tables and reports that settings name."""
    output, report = config.output, config.report
    named = (output.tracks, output.features, output.poses, report.summary, report.log)
    beside = [notes_file(path) for path in (output.tracks, output.poses) if path is not None]
    exported = [file for _, file in output.exports]
    return [path for path in (*named, *beside, *exported, config.live.rerun_file) if path is not None]
