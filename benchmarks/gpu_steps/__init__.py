"""The steps of `benchmarks.gpu`: each is `run(settings, record)`, independent of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from realtime_kp.config import SuperPointConfig

# Keeps one result under a name; what was recorded survives a step that is cut short.
Record = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What every step is told.

    Attributes:
        device: `cuda`, `cuda:N`, or `cpu` for a dry run.
        tiny: Smallest sizes and fewest repeats: shows that a step works, not how fast.
    """

    device: str
    tiny: bool

    @property
    def models(self) -> tuple[str, ...]:
        """Bundled models to measure."""
        return ("small",) if self.tiny else ("base", "small")

    @property
    def sizes_wh(self) -> tuple[tuple[int, int], ...]:
        """Input sizes in pixels."""
        return ((96, 64),) if self.tiny else ((640, 480), (1280, 720))

    def batches(self, size_wh: tuple[int, int]) -> tuple[int, ...]:
        """Frames per run of the network, fewer of the larger ones."""
        if self.tiny:
            return (1, 2)
        return (1, 8, 32) if size_wh == self.sizes_wh[0] else (1, 8)

    @property
    def half(self) -> Literal["fp16", "fp32"]:
        """The precision that is measured: fp16, or fp32 where a dry run has no fp16."""
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
