"""Many videos as a dataset of Ray Data: each is tracked as a whole, by workers that load the network once."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError, RealtimeKpError
from realtime_kp.features import KeptExtractor
from realtime_kp.pipeline import build_pipeline, make_extractor
from realtime_kp.sinks import TRACK_COLUMNS, track_rows
from realtime_kp.sources import open_source

_DTYPES = {"int64": np.int64, "int32": np.int32, "float64": np.float64, "string": object}


def dataset_of(
    inputs: Sequence[str], config: AppConfig, *, workers: int | None, cpus: float, gpus: float
) -> Any:
    """The tracks of videos as a `ray.data.Dataset`, computed when it is read.

    Args:
        inputs: What `open_source` takes, seen by every machine.
        config: All settings.
        workers: Most workers; None takes as many as there is room for.
        cpus: CPU cores of each.
        gpus: GPUs of each; may be a fraction.

    Raises:
        ConfigError: Ray Data is missing.
    """
    for name in ("ray", "pandas", "pyarrow"):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"track_many() needs {name}: pip install 'realtime-kp[ray]'")
    import ray

    if not ray.is_initialized():
        ray.init()
    most = workers or max(1, min(len(inputs), int(ray.cluster_resources().get("CPU", 1) // max(cpus, 1e-9))))
    videos = ray.data.from_items(
        [{"video": name} for name in inputs], override_num_blocks=max(1, len(inputs))
    )
    return videos.map_batches(
        VideoTables,
        fn_constructor_args=(config,),
        batch_size=1,
        num_cpus=cpus,
        num_gpus=gpus,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
    )


class VideoTables:
    """Turns names of videos into their tracks, with the network loaded once.

    Args:
        config: All settings.
    """

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._superpoint = KeptExtractor(make_extractor(config.superpoint))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The rows of the tracks tables of some videos, with the columns `video` and `error` beside.

        A video that cannot be read is one row with its name and the reason; all else of it is 0 or empty.
        """
        names: list[str] = []
        errors: list[str] = []
        rows: list[tuple[Any, ...]] = []
        for video in batch["video"]:
            found, error = self._tracked(str(video))
            rows += found
            names += [str(video)] * len(found)
            errors += [error] * len(found)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(TRACK_COLUMNS)
        table: dict[str, Any] = {
            column.name: np.array(values, _DTYPES[column.kind])
            for column, values in zip(TRACK_COLUMNS, columns, strict=True)
        }
        return {"video": np.array(names, object), **table, "error": np.array(errors, object)}

    def _tracked(self, video: str) -> tuple[list[tuple[Any, ...]], str]:
        rows: list[tuple[Any, ...]] = []
        try:
            pipeline = build_pipeline(
                open_source(video, self._config.input),
                self._config,
                policy="block",
                max_frames=self._config.video.max_frames,
                superpoint=self._superpoint,
            )
            with pipeline:
                for tracked in pipeline:
                    rows += track_rows(tracked)
        except RealtimeKpError as exc:
            return [_nothing()], str(exc)
        return rows, ""


def _nothing() -> tuple[Any, ...]:
    return tuple("" if column.kind == "string" else 0 for column in TRACK_COLUMNS)
