"""Keypoints, scores and descriptors of every frame in one safetensors file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from realtime_kp.errors import ConfigError, SinkError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.base import PartialFile, write_error


class FeaturesSink:
    """Writes the keypoints of every frame on which the network ran.

    Tensors: `frame (F,) int64`, `time_s (F,) float64`, `time_ns (F,) int64`, `size_wh (F, 2) int32`,
    `offsets (F+1,) int64`, and with one row per keypoint `xy (N, 2) float32`, `scores (N,) float32`,
    `descriptors (N, D) float16`.
    Keypoints of frame f are rows `offsets[f]:offsets[f + 1]`.

    Rows are spooled to disk, so that memory does not grow with the length of the video.

    Args:
        path: Ends in `.safetensors`.
        metadata: Text for the header of the file, such as the name of the model.

    Raises:
        ConfigError: The suffix is wrong.
    """

    def __init__(self, path: Path, metadata: dict[str, str] | None = None) -> None:
        check_features_name(path)
        self.path = path
        self.metadata = metadata or {}
        self._file = PartialFile(path)
        self._spool: tempfile.TemporaryDirectory[str] | None = None
        self._parts: dict[str, IO[bytes]] = {}
        self._frames: list[tuple[int, float, int, int, int]] = []
        self._counts: list[int] = []
        self._dim = 0

    def __enter__(self) -> Self:
        try:
            self._spool = tempfile.TemporaryDirectory(prefix=f".{self.path.stem}-", dir=self.path.parent)
            folder = Path(self._spool.name)
            self._parts = {name: open(folder / name, "wb") for name in ("xy", "scores", "descriptors")}  # noqa: SIM115 - closed in __exit__
        except OSError as exc:
            raise write_error(self.path, exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._spool is not None
        try:
            for part in self._parts.values():
                part.close()
            # An incomplete features file would look complete: it is removed after a failure.
            if error is None:
                self._assemble(Path(self._spool.name))
                self._file.commit()
        except (OSError, SafetensorError) as exc:
            self._file.abandon(worth_keeping=False)
            if error is None:
                raise SinkError(f"cannot write {self.path}: {exc}") from exc
        finally:
            self._spool.cleanup()

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Add the keypoints of one frame; frames without detection are omitted.

        Raises:
            SinkError: The file cannot be written, or the descriptors have another length than before.
        """
        keypoints, late, frame = tracked.found, tracked.late, tracked.frame
        if keypoints is None:
            return
        length = keypoints.descriptors.shape[1]
        if len(keypoints) and sum(self._counts) and length != self._dim:
            raise SinkError(
                f"{self.path} holds descriptors of length {self._dim}, those of frame {frame.index} have "
                f"{length}: name one --model"
            )
        if late is None:
            self._frames.append((frame.index, frame.time_s, frame.time_ns, *frame.size_wh))
        else:
            self._frames.append((late.frame_index, late.time_s, late.time_ns, *late.size_wh))
        self._counts.append(len(keypoints))
        if len(keypoints) or not self._dim:
            self._dim = length
        try:
            self._parts["xy"].write(keypoints.xy.tobytes())
            self._parts["scores"].write(keypoints.scores.tobytes())
            self._parts["descriptors"].write(keypoints.descriptors.astype(np.float16).tobytes())
        except OSError as exc:
            raise write_error(self.path, exc) from exc

    def _assemble(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        total = sum(self._counts)
        tensors = {
            "frame": np.array([f[0] for f in self._frames], np.int64),
            "time_s": np.array([f[1] for f in self._frames], np.float64),
            "time_ns": np.array([f[2] for f in self._frames], np.int64),
            "size_wh": np.array([f[3:] for f in self._frames], np.int32).reshape(-1, 2),
            "offsets": np.concatenate([[0], np.cumsum(self._counts)]).astype(np.int64),
            "xy": _mapped(folder / "xy", np.float32, (total, 2)),
            "scores": _mapped(folder / "scores", np.float32, (total,)),
            "descriptors": _mapped(folder / "descriptors", np.float16, (total, self._dim)),
        }
        # The header is UTF-8, which a name of a folder need not be.
        texts = {
            name: text.encode(errors="backslashreplace").decode() for name, text in self.metadata.items()
        }
        save_file(tensors, self._file.partial, metadata={"format": "realtime_kp features 1", **texts})
        shutil.copymode(folder / "xy", self._file.partial)  # save_file makes it readable for its owner only


def check_features_name(path: Path) -> None:
    """Check that a name ends in `.safetensors`.

    Raises:
        ConfigError: It does not.
    """
    if path.suffix.lower() != ".safetensors":
        raise ConfigError(f"--features takes a file ending in .safetensors, got {path.name!r}")


def _mapped(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, mode="r", shape=shape)
