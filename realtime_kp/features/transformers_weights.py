"""Weights loaded into the modules of transformers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from realtime_kp.errors import ModelError, first_line
from realtime_kp.features.checks import check_complete, check_weights
from realtime_kp.features.hub import quiet_transformers, resolve_commit
from realtime_kp.features.weights_store import (
    MAGIC_LEAP_LICENCE,
    WeightsRef,
    check_revision,
    find_weights,
)

if TYPE_CHECKING:
    from transformers import SuperPointForKeypointDetection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """A SuperPoint of transformers in float32 on the CPU, with its origin.

    Attributes:
        ref: The weights.
        model: The model, in evaluation mode.
        revision: The resolved commit of a hub id; None for folders.
    """

    ref: WeightsRef
    model: SuperPointForKeypointDetection
    revision: str | None


def load_weights(model: str, revision: str | None = None) -> LoadedWeights:
    """Load weights into transformers' modules; safetensors only, never a pickle.

    Args:
        model: A bundled name, a local folder or a hub id.
        revision: Branch, tag or commit of a hub id.

    Raises:
        ModelError: The weights cannot be found, reached, read, or are not those of a SuperPoint.
    """
    ref = find_weights(model)
    check_revision(ref, revision)
    _refuse_residual(ref)
    if ref.licence == MAGIC_LEAP_LICENCE:
        _warn_once(ref.licence)
    with quiet_transformers():
        from transformers import SuperPointForKeypointDetection

        commit, reachable = resolve_commit(ref.location, revision) if ref.kind == "hub" else (None, False)
        try:
            loaded, report = SuperPointForKeypointDetection.from_pretrained(
                ref.location,
                revision=commit or revision or "main",
                use_safetensors=True,
                output_loading_info=True,
                local_files_only=not reachable,
                ignore_mismatched_sizes=True,  # they are in the report, and refused below
            )
        except Exception as exc:
            raise ModelError(_why_not_loaded(ref, revision, reachable, exc)) from exc
    check_complete(ref.location, loaded.config, report)
    check_weights(Path(ref.location), loaded.state_dict().items())
    if ref.kind == "hub":
        commit = commit or getattr(loaded.config, "_commit_hash", None)
        log.info("%s at commit %s", ref.name, commit or "unknown")
    return LoadedWeights(ref, loaded.eval(), commit)


def _refuse_residual(ref: WeightsRef) -> None:
    if ref.is_residual:
        raise ModelError(
            f"{ref.name} is a residual network, which transformers does not have: use base or small"
        )


@lru_cache(maxsize=16)
def _warn_once(text: str) -> None:
    log.warning("%s", text)


def _why_not_loaded(ref: WeightsRef, revision: str | None, reachable: bool, exc: Exception) -> str:
    first = first_line(exc)
    if ref.kind != "hub":
        return f"cannot load the weights in {ref.location}: {first}"
    at = f" at revision {revision}" if revision else ""
    if reachable:
        return f"cannot load {ref.name}{at} from the hub: {first}"
    return (
        f"cannot load {ref.name}{at}: the hub is out of reach and nothing is cached; connect once, or "
        "download the model folder elsewhere and give its path to --model"
    )
