"""Ray: the cluster and its nodes. Besides it only `workers` knows Ray."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from realtime_kp.apps.fleet.workers import Node, Worker
from realtime_kp.config import FleetConfig
from realtime_kp.errors import ConfigError
from realtime_kp.machine import usable_cores

_CONNECT_S = 5.0
_PROBE_S = 60.0


def check_ray() -> None:
    """Check before any work that Ray is there.

    Raises:
        ConfigError: It is missing.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--ray needs Ray: pip install 'realtime-kp[ray]'")


class Cluster:
    """A connection to a cluster; `local` starts one on this machine that ends with it.

    Args:
        config: The address, and what a worker gets.
    """

    def __init__(self, config: FleetConfig) -> None:
        self._config = config

    def __enter__(self) -> Self:
        import ray

        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self._config.ray or "local"
        if address not in ("local", "auto"):
            _check_answers(address)
        options: dict[str, Any] = {} if address == "local" else {"address": address}
        if address == "local":
            options = {"num_cpus": len(usable_cores()), "include_dashboard": False}
            options["_node_name"] = socket.gethostname()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        # Ray raises plain exceptions too.
        except Exception as exc:
            reason = " ".join(str(exc).split())[:200]
            if address == "local":
                raise ConfigError(
                    f"Ray did not start ({reason}): try again with fewer programs running"
                ) from exc
            raise ConfigError(
                f"no Ray cluster answers at {address} ({reason}): start one with `ray start`"
            ) from exc
        # Ray has replaced them by its own.
        for number, handler in handlers.items():
            signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        ray.shutdown()

    def nodes(self) -> list[Node]:
        """The machines that are there now."""
        import ray

        return [
            Node(
                node["NodeID"],
                node["NodeManagerHostname"],
                int(node["Resources"].get("CPU", 0)),
                float(node["Resources"].get("GPU", 0)),
            )
            for node in ray.nodes()
            if node["Alive"]
        ]

    def ask(self, question: Callable[..., str], *arguments: object) -> Mapping[str, str]:
        """Ask every node; answers by its name and id.

        Raises:
            ConfigError: A node does not answer.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = ray.remote(num_cpus=0)(question)
        asked = {
            f"{node.name} ({node.id[:8]})": remote.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
            ).remote(*arguments)
            for node in self.nodes()
        }
        answers = {}
        for name, answer in asked.items():
            try:
                answers[name] = ray.get(answer, timeout=_PROBE_S)
            except (ray.exceptions.RayError, ImportError) as exc:
                reason = " ".join(str(exc).split())[-200:]
                raise ConfigError(f"node {name} cannot run realtime-kp: {reason}") from exc
        return answers

    def worker(self, node: Node, slot: int) -> Worker:
        """Start a worker on a node."""
        return Worker(self._config, node, slot)


def _check_answers(address: str) -> None:
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=_CONNECT_S):
            pass
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"nothing answers at {address} ({exc}): start a cluster with `ray start --head`"
        ) from exc
