"""The steps of `benchmarks.gpu`: independent modules with a function `run(settings, record)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from realtime_kp.config import SuperPointConfig

# Records one result under a name; results of an interrupted step are kept.
Record = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of all steps.

    Attributes:
        device: `cuda`, `cuda:N`, or `cpu` for a dry run.
        tiny: Smallest sizes and fewest repetitions, to check that a step works.
    """

    device: str
    tiny: bool

    @property
    def models(self) -> tuple[str, ...]:
        """Bundled models to measure."""
        return ("small", "nano") if self.tiny else ("base", "small", "nano")

    @property
    def sizes_wh(self) -> tuple[tuple[int, int], ...]:
        """Input sizes in pixels."""
        return ((96, 64),) if self.tiny else ((640, 480), (1280, 720))

    def batches(self, size_wh: tuple[int, int]) -> tuple[int, ...]:
        """Batch sizes for an input size."""
        if self.tiny:
            return (1, 2)
        return (1, 8, 32) if size_wh == self.sizes_wh[0] else (1, 8)

    @property
    def half(self) -> Literal["fp16", "fp32"]:
        """The measured precision: fp16, or fp32 in a dry run on a CPU."""
        return "fp32" if self.device == "cpu" else "fp16"

    def superpoint(self, model: str, size_wh: tuple[int, int], *, fused: bool = False) -> SuperPointConfig:
        """A model in torch at exactly this input size."""
        return SuperPointConfig(
            model=model,
            device=self.device,
            engine="torch",
            precision=self.half,
            resize=f"{size_wh[0]}x{size_wh[1]}",
            compile=fused,
        )
