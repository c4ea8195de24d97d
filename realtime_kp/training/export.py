"""Export of trained networks as Hugging Face folders."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from realtime_kp.features.weights_store import INT8_FILE
from realtime_kp.training.architecture import TrainableSuperPoint

_PREPROCESSOR = {
    "do_grayscale": True,
    "do_rescale": True,
    "do_resize": True,
    "image_processor_type": "SuperPointImageProcessor",
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 480, "width": 640},
}


def export(network: TrainableSuperPoint, folder: Path) -> None:
    """Write a folder in fp16 that `SuperPointForKeypointDetection.from_pretrained` loads.

    Args:
        network: The trained network.
        folder: Created if missing; its model files are replaced, an 8-bit version in it is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # An 8-bit version in the folder belongs to the previous weights.
    for suffix in (".xml", ".bin"):
        (folder / INT8_FILE).with_suffix(suffix).unlink(missing_ok=True)
    network.folded().to(torch.float16).save_pretrained(folder)
    # Stored in fp16 but loaded as float32 by default: not every CPU supports convolutions in fp16.
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n", encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR, indent=2) + "\n")
