"""Jobs whose inputs or outputs lie in object stores: planned and run on local copies."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from realtime_kp.apps.jobs import Job, map_outputs, named_files, shown
from realtime_kp.apps.remote import store
from realtime_kp.apps.remote.addresses import address_in, copy_of, is_remote
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError, RealtimeKpError, SinkError


@dataclass(frozen=True, slots=True)
class Plan:
    """Inputs and settings of a run by their local copies.

    Attributes:
        sources: The inputs.
        config: The settings.
        root: Folder of the copies; None where nothing is in an object store.
    """

    sources: list[str]
    config: AppConfig
    root: Path | None


@contextmanager
def mirrored(sources: Sequence[str], config: AppConfig) -> Iterator[Plan]:
    """Replace addresses in object stores by the places of their copies, for the time of a run.

    Folders of outputs are made there, and patterns in addresses of inputs are expanded.

    Raises:
        ConfigError: The package for a store is missing, or the scratch folder.
        SourceError: A store does not answer, or nothing matches a pattern.
    """
    output = config.video.output
    named = [*named_files(config), *([] if output is None else [output])]
    if not any(map(is_remote, sources)) and not any(map(address_in, named)):
        yield Plan(list(sources), config, None)
        return
    with _scratch(config) as root:

        def place(path: Path) -> Path:
            address = address_in(path)
            return path if address is None else _made(copy_of(address, root))

        local = map_outputs(config, place)
        if output is not None:
            local = replace(local, video=replace(local.video, output=place(output)))
            if address_in(output) and not output.suffix:
                place(output).mkdir(exist_ok=True)  # folders need not exist in object stores
        inputs: list[str] = []
        for source in sources:
            names = store.expanded(source) if is_remote(source) else []
            inputs += [str(copy_of(name, root)) for name in names] or [source]
        yield Plan(inputs, local, root)


def planned(jobs: Sequence[Job], root: Path) -> list[Job]:
    """The jobs of a plan, once it is clear that they replace nothing by accident.

    Raises:
        SinkError: An output is there already.
        ConfigError: The package for a store is missing.
        SourceError: A store does not answer.
    """
    jobs = [replace(job, copies=root) for job in jobs]
    addresses = {address: job for job in jobs for address in remote_outputs(job)}
    # Where all may be replaced, this still tells whether the store answers.
    there = sorted(
        address
        for address in store.present(addresses)
        if not addresses[address].config.report.overwrite and not addresses[address].config.video.resume
    )
    if there:
        raise SinkError(f"{there[0]} exists already; add --overwrite to replace it, or choose another name")
    inputs = {_identity(shown(name, root)) for job in jobs for name in (job.source, *job.parts)}
    for job in jobs:
        for path in job.outputs:
            if _identity(shown(path, root)) in inputs:
                name = shown(path, root)
                raise SinkError(f"writing {name} would destroy the input itself; choose another output")
    for folder in sorted({address.rpartition("/")[0] for address in addresses}):
        store.check_writable(folder)
    return jobs


def _identity(name: str) -> str:
    """The same for all names of a file."""
    scheme, sign, rest = name.partition("://")
    if not sign:
        return os.path.realpath(name)
    if scheme == "file":
        return os.path.realpath(f"/{rest.lstrip('/')}")
    usual = {"s3a": "s3", "gcs": "gs"}.get(scheme, scheme)
    return f"{usual}://{rest}"


def remote_outputs(job: Job) -> dict[str, Path]:
    """The outputs of a job that go to an object store, and their copies."""
    return {name: path for path in job.outputs if is_remote(name := shown(path, job.copies))}


@contextmanager
def with_input(job: Job) -> Iterator[Job]:
    """A job in a scratch folder of this process, with copies of its inputs; the folder goes in the end.

    Raises:
        ConfigError: The package for the store is missing, or the scratch folder.
        SourceError: The input is not there, or cannot be read.
    """
    if job.copies is None:
        yield job
        return
    with _scratch(job.config) as folder:
        local = _moved(job, job.copies, folder)
        for path in remote_outputs(local).values():
            _made(path)
        for source, copy in zip((job.source, *job.parts), (local.source, *local.parts), strict=True):
            if is_remote(name := shown(source, job.copies)):
                store.fetch(name, Path(copy))
        yield local


def is_done(job: Job) -> bool:
    """Whether all outputs of a job that is to be resumed are in their store.

    Raises:
        SinkError: They are, but older than the input.
        ConfigError: The package for a store is missing.
        SourceError: A store does not answer.
    """
    outputs = remote_outputs(job)
    if not outputs or not job.config.video.resume or store.present(outputs) != set(outputs):
        return False
    oldest_s = min(map(store.modified_at_s, outputs))
    path = Path(job.source)
    changed_s = 0.0
    if is_remote(job.name):
        changed_s = store.modified_at_s(job.name)
    elif path.is_file():
        changed_s = path.stat().st_mtime
    if changed_s > oldest_s:
        raise SinkError(
            f"{job.name} was changed or replaced after its outputs were made: --overwrite makes them again"
        )
    return True


def put_outputs(job: Job) -> None:
    """Copy what a job has written to where it belongs.

    Args:
        job: The job in its scratch folder.

    Raises:
        SinkError: It cannot be written, or another run has written it meanwhile; what this one has made is
            kept.
    """
    outputs = {address: path for address, path in remote_outputs(job).items() if path.exists()}
    try:
        replaced = job.config.report.overwrite or job.config.video.resume
        if not replaced and (there := sorted(store.present(outputs))):
            raise SinkError(f"{there[0]} was written by another run meanwhile")
        for address, path in outputs.items():
            store.put(path, address)
    except RealtimeKpError as exc:
        kept = Path(tempfile.mkdtemp(prefix="realtime_kp_kept_", dir=job.config.fleet.scratch))
        for path in outputs.values():
            shutil.move(path, kept / path.name)
        raise SinkError(f"{exc}; what was made is kept in {kept}") from exc


def put_file(copy: Path, root: Path | None) -> str:
    """Copy a file to its place in a store, if that is where it belongs; returns its name there.

    Raises:
        SinkError: It cannot be written.
    """
    name = shown(copy, root)
    if is_remote(name):
        store.put(copy, name)
    return name


@contextmanager
def _scratch(config: AppConfig) -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="realtime_kp_", dir=config.fleet.scratch)
    except OSError as exc:
        raise ConfigError(f"--scratch: no folder can be made there ({exc.strerror}: {exc.filename})") from exc
    with folder as name:
        yield Path(name)


def _moved(job: Job, before: Path, after: Path) -> Job:
    """A job whose copies lie elsewhere."""

    def place(path: Path) -> Path:
        return after / path.relative_to(before) if path.is_relative_to(before) else path

    source, *parts = (
        str(place(Path(name))) if Path(name).is_relative_to(before) else name
        for name in (job.source, *job.parts)
    )
    return replace(
        job,
        source=source,
        parts=tuple(parts),
        target=None if job.target is None else place(job.target),
        config=map_outputs(job.config, place),
        copies=after,
    )


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
