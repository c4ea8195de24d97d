"""How weights are made and judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, require


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is trained."""

    arch: Annotated[Literal["base", "small"], Parameter(name="--arch")] = "base"
    """base: 64-64-128-128, heads 256, descriptors 256; small: 16-32-64-128, heads 128, descriptors 128."""

    minutes: Annotated[float | None, Parameter(name="--minutes")] = None
    """Train about this long: as many steps as fit, going by the speed of the first ones."""

    steps: Annotated[int | None, Parameter(name="--steps")] = None
    """Train this many steps; 5000 where neither is given."""

    batch: Annotated[int, Parameter(name="--batch")] = 8
    """Pairs of views a step."""

    rate: Annotated[float, Parameter(name="--rate")] = 2e-3
    """Highest learning rate; half of it and less where --start-from has taught the network already."""

    agreement: Annotated[float, Parameter(name="--agreement")] = 1.0
    """Weight of the distance between the places that two views give a keypoint, beside the labels."""

    ranking: Annotated[float, Parameter(name="--ranking")] = 0.0
    """Weight of ranking keypoints that come back in the other view above those that do not; 1 for a network
    that --start-from has taught already."""

    found: Annotated[float, Parameter(name="--found")] = 0.0
    """Weight of telling apart by descriptors the keypoints that the network finds, beside those that are
    labels, whose weight is 0.5; 0.5 for a network that --start-from has taught already: it matches better
    across large changes of scale then."""

    start_from: Annotated[str | None, Parameter(name="--start-from")] = None
    """Checkpoint of another run to begin with, or a model as this command writes it: a folder, base or small.
    Its network may be the narrower one. None begins at random."""

    labels_from: Annotated[str | None, Parameter(name="--labels-from")] = None
    """Model whose keypoints, found again under random warps, are the labels. None takes blobs."""

    shapes: Annotated[int, Parameter(name="--shapes")] = 0
    """Tiles with drawn shapes beside the pictures: corners, which stay nearer to their places than blobs when
    they are seen from aside, and farther from them in all other views."""

    shapes_alone: Annotated[bool, Parameter(name="--shapes-alone", negative="")] = False
    """Train on the drawn shapes only, with the pictures as their textures: makes a network of corners,
    for --labels-from."""

    descriptors_alone: Annotated[bool, Parameter(name="--descriptors-alone", negative="")] = False
    """Teach the descriptor head of --start-from to know the keypoints that its network finds, which stay as
    they are: quick, and without labels."""

    frozen_blocks: Annotated[int, Parameter(name="--frozen-blocks")] = 0
    """How many of the encoder's four blocks, from the first one on, stay as --start-from has them: with 2, a
    step takes some 60 % of the time."""

    zoom: Annotated[float | None, Parameter(name="--zoom")] = None
    """How much the scale changes between views that lie far apart: the spread of its natural logarithm, as a
    standard deviation. None takes 0.6, and 0.8 with --descriptors-alone."""

    seed: Annotated[int, Parameter(name="--seed")] = 0
    """Of weights, labels, shapes and views."""

    device: Annotated[str, Parameter(name="--device")] = "auto"
    """auto, cpu, cuda or cuda:N."""

    max_images: Annotated[int | None, Parameter(name="--max-images")] = None
    """Use this many tiles only."""

    resume: Annotated[bool, Parameter(name="--resume", negative="")] = False
    """Go on where the checkpoint in the output folder was written."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.arch in ("base", "small"), "arch must be base or small", self.arch)
        require(self.minutes is None or self.minutes > 0, "minutes must be above 0", self.minutes)
        require(self.steps is None or self.steps >= 1, "steps must be at least 1", self.steps)
        require(self.minutes is None or self.steps is None, "give minutes or steps, not both", self.steps)
        require(1 <= self.batch <= 1024, "batch must be 1 to 1024", self.batch)
        require(0 < self.rate <= 1, "rate must be above 0 and at most 1", self.rate)
        require(0 <= self.agreement <= 100, "agreement must be 0 to 100", self.agreement)
        require(0 <= self.ranking <= 100, "ranking must be 0 to 100", self.ranking)
        require(0 <= self.found <= 100, "found must be 0 to 100", self.found)
        require(0 <= self.shapes <= 100_000, "shapes must be 0 to 100000", self.shapes)
        require(not self.shapes_alone or self.shapes > 0, "shapes_alone needs shapes above 0", self.shapes)
        learned = self.resume or self.start_from is not None
        require(
            not self.descriptors_alone or learned,
            "descriptors_alone needs start_from, a network that finds keypoints",
            self.start_from,
        )
        require(
            not (self.descriptors_alone and self.found),
            "found adds to the labels, and descriptors_alone does without: leave one of them out",
            self.found,
        )
        require(0 <= self.frozen_blocks <= 4, "frozen_blocks must be 0 to 4", self.frozen_blocks)
        require(
            not self.frozen_blocks or learned,
            "frozen_blocks needs start_from, a network that has learned them",
            self.start_from,
        )
        require(self.zoom is None or 0 < self.zoom <= 2, "zoom must be above 0 and at most 2", self.zoom)
        require(0 <= self.seed < 2**31, "seed must be 0 to 2147483647", self.seed)
        require(
            re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device) is not None,
            "device must be auto, cpu, cuda or cuda:N",
            self.device,
        )
        require(
            self.max_images is None or self.max_images >= 1, "max_images must be at least 1", self.max_images
        )

    @property
    def needs_labels(self) -> bool:
        """Whether the pictures' keypoints are taught."""
        return not (self.shapes_alone or self.descriptors_alone)


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """How methods are compared on pairs of pictures."""

    keypoints: Annotated[int, Parameter(name="--keypoints")] = 512
    """Of every method in every picture."""

    max_pairs: Annotated[int, Parameter(name="--max-pairs")] = 120
    """Warped pairs at most."""

    seed: Annotated[int, Parameter(name="--seed")] = 0
    """Of the warps and of the light."""

    repeats: Annotated[int, Parameter(name="--repeats")] = 1
    """Evaluate so often, with the seeds from --seed on, and tell means and spread (highest less lowest)."""

    video: Annotated[bool, Parameter(name="--video")] = True
    """Also follow clips of known motion with the descriptor tracker, where the method is a SuperPoint."""

    def __post_init__(self) -> None:
        check_types(self)
        require(8 <= self.keypoints <= 100_000, "keypoints must be 8 to 100000", self.keypoints)
        require(self.max_pairs >= 2, "max_pairs must be at least 2", self.max_pairs)
        require(1 <= self.repeats <= 100, "repeats must be 1 to 100", self.repeats)
        require(0 <= self.seed < 2**31, "seed must be 0 to 2147483647", self.seed)
