"""Export of trained networks as folders of weights and settings."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save

from realtime_kp.features.weights_store import INT8_FILE, RESIDUAL
from realtime_kp.training.architecture import TrainableNetwork, TrainableResidual, TrainableSuperPoint

_PREPROCESSOR = {
    "do_grayscale": True,
    "do_rescale": True,
    "do_resize": True,
    "image_processor_type": "SuperPointImageProcessor",
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 480, "width": 640},
}


def export(network: TrainableNetwork, folder: Path) -> None:
    """Write a folder in fp16 for `--model`; that of a SuperPoint can be loaded by transformers too.

    Args:
        network: The trained network.
        folder: Created if missing; its model files are replaced, an 8-bit version in it is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # An 8-bit version in the folder belongs to the previous weights.
    for suffix in (".xml", ".bin"):
        (folder / INT8_FILE).with_suffix(suffix).unlink(missing_ok=True)
    if isinstance(network, TrainableSuperPoint):
        _save_superpoint(network, folder)
    else:
        assert isinstance(network, TrainableResidual)
        _save_residual(network, folder)


def _save_superpoint(network: TrainableSuperPoint, folder: Path) -> None:
    network.folded().to(torch.float16).save_pretrained(folder)
    # Stored in fp16 but loaded as float32 by default: not every CPU supports convolutions in fp16.
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n", encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR, indent=2) + "\n")


def _save_residual(network: TrainableResidual, folder: Path) -> None:
    folded = network.folded().to(torch.float16)
    weights = {name: values.cpu().contiguous() for name, values in folded.state_dict().items()}
    (folder / "model.safetensors").write_bytes(save(weights, {"format": "pt"}))
    config = {
        "model_type": RESIDUAL,
        **folded.shape.settings(),
        "descriptor_grid": "exact",
        "border_removal_distance": 4,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
