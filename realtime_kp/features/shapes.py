"""Sizes of the networks, and the names and shapes of their weights; torch is not needed for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_LOGITS = 65
# Side of the blocks of pixels that become channels of a residual network.
SPACE_TO_DEPTH = 4
WeightShapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Shape:
    """Channel counts of SuperPoint's network.

    Attributes:
        encoder: Channels of the four blocks.
        head: Channels of the hidden layer of both heads.
        descriptor: Length of a descriptor.
    """

    encoder: tuple[int, int, int, int]
    head: int
    descriptor: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """The shape that a `config.json` of transformers asks for.

        Raises:
            KeyError: A setting is missing.
            TypeError: A setting is of another kind.
            ValueError: It is no SuperPoint.
        """
        first, second, third, last = config["encoder_hidden_sizes"]
        _check_logits(config)
        return cls(
            (first, second, third, last), config["decoder_hidden_size"], config["descriptor_decoder_dim"]
        )

    def weights(self) -> WeightShapes:
        """Names, as in `SuperPointForKeypointDetection.state_dict`, and shapes of all weights."""
        layers: WeightShapes = {}
        for number, (before, width) in enumerate(pairwise((1, *self.encoder))):
            layers[f"encoder.conv_blocks.{number}.conv_a"] = (width, before, 3, 3)
            layers[f"encoder.conv_blocks.{number}.conv_b"] = (width, width, 3, 3)
        heads = {
            "keypoint_decoder.conv_score": _LOGITS,
            "descriptor_decoder.conv_descriptor": self.descriptor,
        }
        for name, outputs in heads.items():
            layers[f"{name}_a"] = (self.head, self.encoder[-1], 3, 3)
            layers[f"{name}_b"] = (outputs, self.head, 1, 1)
        return _with_biases(layers)


@dataclass(frozen=True, slots=True)
class ResidualShape:
    """Size of a residual network.

    Attributes:
        encoder: Channels at a quarter and at an eighth of the resolution.
        blocks: Number of residual blocks at a quarter and at an eighth of the resolution.
        head: Channels of the hidden layer of both heads.
        descriptor: Length of a descriptor.
    """

    encoder: tuple[int, int]
    blocks: tuple[int, int]
    head: int
    descriptor: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ResidualShape:
        """The shape that a `config.json` asks for.

        Raises:
            KeyError: A setting is missing.
            TypeError: A setting is of another kind.
            ValueError: Numbers of layers do not fit.
        """
        quarter, eighth = config["encoder_hidden_sizes"]
        of_quarter, of_eighth = config["residual_blocks"]
        _check_logits(config)
        return cls(
            (quarter, eighth),
            (of_quarter, of_eighth),
            config["decoder_hidden_size"],
            config["descriptor_decoder_dim"],
        )

    def settings(self) -> dict[str, Any]:
        """What `of` reads."""
        return {
            "encoder_hidden_sizes": list(self.encoder),
            "residual_blocks": list(self.blocks),
            "decoder_hidden_size": self.head,
            "keypoint_decoder_dim": _LOGITS,
            "descriptor_decoder_dim": self.descriptor,
        }

    def weights(self) -> WeightShapes:
        """Names, as in `ResidualNetwork.state_dict`, and shapes of all weights."""
        layers: WeightShapes = {}
        widths = (SPACE_TO_DEPTH**2, *self.encoder)
        stages = zip(("quarter", "eighth"), pairwise(widths), self.blocks, strict=True)
        for stage, (before, width), blocks in stages:
            layers[f"{stage}.conv"] = (width, before, 3, 3)
            for block in range(blocks):
                for layer in ("conv_a", "conv_b"):
                    layers[f"{stage}.blocks.{block}.{layer}"] = (width, width, 3, 3)
        for name, outputs in (("score_head", _LOGITS), ("descriptor_head", self.descriptor)):
            layers[f"{name}.0"] = (self.head, self.encoder[-1], 3, 3)
            layers[f"{name}.2"] = (outputs, self.head, 1, 1)
        return _with_biases(layers)


def _check_logits(config: Mapping[str, Any]) -> None:
    if config["keypoint_decoder_dim"] != _LOGITS:
        raise ValueError(f"SuperPoint has {_LOGITS} logits")


def _with_biases(layers: WeightShapes) -> WeightShapes:
    weights = {f"{name}.weight": shape for name, shape in layers.items()}
    return weights | {f"{name}.bias": shape[:1] for name, shape in layers.items()}
