"""Settings of training and evaluation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, require


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is trained."""

    arch: Annotated[Literal["base", "small", "nano"], Parameter(name="--arch")] = "base"
    """base: 64-64-128-128, heads 256, descriptors 256; small: 16-32-64-128, heads 128, descriptors 128;
    nano: a residual network of 24-64, heads 64, descriptors 64, for slow computers."""

    minutes: Annotated[float | None, Parameter(name="--minutes")] = None
    """Approximate training time: the number of steps is estimated from the speed of the first ones."""

    steps: Annotated[int | None, Parameter(name="--steps")] = None
    """Number of training steps; 5000 when neither --steps nor --minutes is given."""

    batch: Annotated[int, Parameter(name="--batch")] = 8
    """Pairs of views per step."""

    rate: Annotated[float, Parameter(name="--rate")] = 2e-3
    """Peak learning rate; use at most half the default for a trained network (--start-from)."""

    agreement: Annotated[float, Parameter(name="--agreement")] = 1.0
    """Weight of the agreement loss: the distance between the positions of a keypoint in the two views. The
    detection loss on the labels has weight 1."""

    ranking: Annotated[float, Parameter(name="--ranking")] = 0.0
    """Weight of the ranking loss, which scores keypoints that are repeated in the other view above those that
    are not; use 1 for a trained network (--start-from)."""

    found: Annotated[float, Parameter(name="--found")] = 0.0
    """Weight of the descriptor loss on detected keypoints, in addition to that on the labels (weight 0.5).
    Use 0.5 for a trained network (--start-from): it improves matching across large scale changes."""

    start_from: Annotated[str | None, Parameter(name="--start-from")] = None
    """Initial weights: a checkpoint of another run, or a model written by this command (a folder, base,
    small or nano). Its network may be narrower than --arch. None starts from random weights."""

    labels_from: Annotated[str | None, Parameter(name="--labels-from")] = None
    """Model whose keypoints, repeated under random homographies, are the labels (homographic adaptation).
    None uses a blob detector instead of a model."""

    teacher: Annotated[str | None, Parameter(name="--teacher")] = None
    """Model to learn from instead of from labels (distillation): its heat map and its descriptors are the
    targets. Needs no labels; for a small network that has a larger one to follow."""

    rooms: Annotated[int, Parameter(name="--rooms")] = 0
    """Number of generated rooms to add, with the pictures as textures: two pictures of each, from different
    places. They teach to match scenes with depth. They have no labels: only with --teacher or
    --descriptors-alone."""

    shapes: Annotated[int, Parameter(name="--shapes")] = 0
    """Number of tiles with drawn shapes to add to the pictures. Their labels are corners, which are localised
    better than blobs in oblique views, and worse in all other views."""

    shapes_alone: Annotated[bool, Parameter(name="--shapes-alone", negative="")] = False
    """Train on the drawn shapes only, with the pictures as textures: gives a corner detector for
    --labels-from."""

    descriptors_alone: Annotated[bool, Parameter(name="--descriptors-alone", negative="")] = False
    """Train only the descriptor head of --start-from, on the keypoints that its network detects; the detector
    does not change. Fast, and needs no labels."""

    frozen_blocks: Annotated[int, Parameter(name="--frozen-blocks")] = 0
    """Number of the encoder's blocks (four, nano: two), counted from the first, that keep the weights of
    --start-from; with 2 of four, a step takes about 60 % of the time."""

    zoom: Annotated[float | None, Parameter(name="--zoom")] = None
    """Scale change between the views of a wide-baseline pair: standard deviation of its natural logarithm.
    None uses 0.6, or 0.8 with --descriptors-alone."""

    seed: Annotated[int, Parameter(name="--seed")] = 0
    """Random seed of weights, labels, rooms, shapes and views."""

    device: Annotated[str, Parameter(name="--device")] = "auto"
    """Compute device: auto, cpu, cuda or cuda:N."""

    max_images: Annotated[int | None, Parameter(name="--max-images")] = None
    """Maximum number of tiles to use."""

    resume: Annotated[bool, Parameter(name="--resume", negative="")] = False
    """Continue from the checkpoint in the output folder."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.arch in ("base", "small", "nano"), "arch must be base, small or nano", self.arch)
        require(self.minutes is None or self.minutes > 0, "minutes must be above 0", self.minutes)
        require(self.steps is None or self.steps >= 1, "steps must be at least 1", self.steps)
        require(self.minutes is None or self.steps is None, "give minutes or steps, not both", self.steps)
        require(1 <= self.batch <= 1024, "batch must be 1 to 1024", self.batch)
        require(0 < self.rate <= 1, "rate must be above 0 and at most 1", self.rate)
        require(0 <= self.agreement <= 100, "agreement must be 0 to 100", self.agreement)
        require(0 <= self.ranking <= 100, "ranking must be 0 to 100", self.ranking)
        require(0 <= self.found <= 100, "found must be 0 to 100", self.found)
        require(0 <= self.rooms <= 100_000, "rooms must be 0 to 100000", self.rooms)
        require(
            not self.rooms or self.resume or self.teacher is not None or self.descriptors_alone,
            "rooms have no labels: they need teacher or descriptors_alone",
            self.rooms,
        )
        require(0 <= self.shapes <= 100_000, "shapes must be 0 to 100000", self.shapes)
        require(not self.shapes_alone or self.shapes > 0, "shapes_alone needs shapes above 0", self.shapes)
        learned = self.resume or self.start_from is not None
        require(
            not self.descriptors_alone or learned,
            "descriptors_alone needs start_from, a trained network",
            self.start_from,
        )
        require(
            not (self.descriptors_alone and self.found),
            "found needs labels, and descriptors_alone trains without them: leave one of them out",
            self.found,
        )
        for name in ("labels_from", "shapes", "shapes_alone", "descriptors_alone"):
            require(
                self.teacher is None or not getattr(self, name),
                f"teacher replaces the labels: leave {name} out",
                self.teacher,
            )
        blocks = 2 if self.arch == "nano" else 4
        require(0 <= self.frozen_blocks <= blocks, f"frozen_blocks must be 0 to {blocks}", self.frozen_blocks)
        require(
            not self.frozen_blocks or learned,
            "frozen_blocks needs start_from, a trained network",
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
        """Whether training needs keypoint labels of the pictures."""
        return not (self.shapes_alone or self.descriptors_alone or self.teacher is not None)


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """How methods are compared on pairs of pictures."""

    keypoints: Annotated[int, Parameter(name="--keypoints")] = 512
    """Maximum number of keypoints of each method in each picture."""

    max_pairs: Annotated[int, Parameter(name="--max-pairs")] = 120
    """Maximum number of warped pairs."""

    rooms: Annotated[int, Parameter(name="--rooms")] = 24
    """Number of generated rooms, with the pictures of --data on their walls: two pictures of each, from
    different places and in different light. 0 leaves them out; a folder of videos has none."""

    seed: Annotated[int, Parameter(name="--seed")] = 0
    """Random seed of the warps, the rooms and the lighting changes."""

    repeats: Annotated[int, Parameter(name="--repeats")] = 1
    """Number of evaluations, with consecutive seeds from --seed; reports mean and range (max - min)."""

    video: Annotated[bool, Parameter(name="--video")] = True
    """Also track clips of known motion with the descriptor tracker, for SuperPoint methods only."""

    def __post_init__(self) -> None:
        check_types(self)
        require(8 <= self.keypoints <= 100_000, "keypoints must be 8 to 100000", self.keypoints)
        require(0 <= self.rooms <= 1000, "rooms must be 0 to 1000", self.rooms)
        require(self.max_pairs >= 2, "max_pairs must be at least 2", self.max_pairs)
        require(1 <= self.repeats <= 100, "repeats must be 1 to 100", self.repeats)
        require(0 <= self.seed < 2**31, "seed must be 0 to 2147483647", self.seed)
