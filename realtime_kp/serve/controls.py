"""Who holds the controls, and what everybody is told."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from realtime_kp.serve.outbox import Outbox

# So long without a request, and another viewer may take the controls.
_IDLE_S = 60.0


def news(kind: str, values: Mapping[str, Any]) -> str:
    """What viewers are told, as JSON: its kind, and what there is to it."""
    return json.dumps({"type": kind, **values}, separators=(",", ":"))


class ControlDesk:
    """Viewers with a connection for control; one of them at a time may use it.

    The first one gets the controls, and keeps them until it leaves, gives them up, or asks for nothing during
    a minute while another one wants them.

    Args:
        read_only: Nobody gets them.
    """

    def __init__(self, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._viewers: list[Outbox[str]] = []
        self._holder: Outbox[str] | None = None
        self._asked_at_s = 0.0

    def __len__(self) -> int:
        return len(self._viewers)

    def join(self, viewer: Outbox[str]) -> None:
        """Take in a viewer."""
        self._viewers.append(viewer)
        if self._holder is None and not self.read_only:
            self._give_to(viewer)
        self.tell_holder()

    def leave(self, viewer: Outbox[str]) -> None:
        """Let a viewer go; its controls are free then."""
        self._viewers.remove(viewer)
        if self._holder is viewer:
            self._holder = None
        self.tell_holder()

    def take(self, viewer: Outbox[str]) -> bool:
        """Whether a viewer holds the controls, having asked for them."""
        idle = time.monotonic() - self._asked_at_s > _IDLE_S
        if not self.read_only and (self._holder is None or idle):
            self._give_to(viewer)
        self.tell_holder()
        return self._holder is viewer

    def release(self, viewer: Outbox[str]) -> None:
        """Give the controls up."""
        if self._holder is viewer:
            self._holder = None
        self.tell_holder()

    def may_control(self, viewer: Outbox[str]) -> bool:
        """Whether a viewer holds the controls; its request counts as one."""
        if self._holder is not viewer:
            return False
        self._asked_at_s = time.monotonic()
        return True

    def tell(self, kind: str, values: Mapping[str, Any]) -> None:
        """Tell everybody; of each kind the newest message counts."""
        text = news(kind, values)
        for viewer in self._viewers:
            viewer.put(text, kind)

    def tell_holder(self) -> None:
        """Tell everybody who holds the controls, and how many are here."""
        for viewer in self._viewers:
            holder = "nobody" if self._holder is None else "you" if self._holder is viewer else "other"
            values = {"holder": holder, "read_only": self.read_only, "viewers": len(self._viewers)}
            viewer.put(news("control", values), "control")

    def close(self) -> None:
        """Tell nobody anything more."""
        for viewer in self._viewers:
            viewer.close()

    def _give_to(self, viewer: Outbox[str]) -> None:
        self._holder, self._asked_at_s = viewer, time.monotonic()
