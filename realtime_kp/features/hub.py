"""The Hugging Face hub, and the messages of its libraries."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from realtime_kp.errors import ModelError

log = logging.getLogger(__name__)

_HUB_S = 10.0


def resolve_commit(hub_id: str, revision: str | None) -> tuple[str | None, bool]:
    """Ask the hub, with a short time-out, for the commit: the commit, and whether the hub can be reached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    at = f" at revision {revision}" if revision else ""
    try:
        return HfApi().model_info(hub_id, revision=revision, timeout=_HUB_S).sha, True
    except RevisionNotFoundError as exc:
        raise ModelError(f"the hub has no revision {revision!r} of {hub_id}") from exc
    except RepositoryNotFoundError as exc:
        raise ModelError(
            f"the hub has no model {hub_id}{at}, or it is private (run `hf auth login`)"
        ) from exc
    except Exception as exc:
        log.debug("the hub does not respond: %s", exc)
        return None, False


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Suppress progress bars and start-up messages of transformers and the hub while loading."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as hf_logging

    hub_level = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)

    level = hf_logging.get_verbosity()
    bars = hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # from_pretrained warns of the deprecation of its own attribute.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        hub_logging.set_verbosity(hub_level)
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()
