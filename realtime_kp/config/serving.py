"""Where the live view is served to browsers, and to whom."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, number_as_text, require

AUTO_TOKEN = "auto"

_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]*):)?(?P<port>\d{1,5})")
_LEAST_TOKEN = 12
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """The live view in browsers."""

    address: Annotated[str | None, Parameter(name=["--serve", "address"])] = None
    """Show it in browsers too, at [HOST:]PORT; HOST is 127.0.0.1 unless given, port 0 takes a free one."""

    token: Annotated[str | None, Parameter(name=["--token", "token"], env_var="REALTIME_KP_TOKEN")] = None
    """Secret that browsers have to show (auto makes one); demanded where others can reach HOST."""

    read_only: Annotated[bool, Parameter(name=["--read-only", "read-only"], negative="")] = False
    """Browsers can watch, and control nothing."""

    def __post_init__(self) -> None:
        number_as_text(self, "address")
        check_types(self)
        good = self.address is None or self.host_port is not None
        require(
            good, "the address to serve at must be [HOST:]PORT, such as 8000 or 0.0.0.0:8000", self.address
        )
        if self.address is not None and self.token not in (None, AUTO_TOKEN):
            text = str(self.token)
            fits = len(text) >= _LEAST_TOKEN and _TOKEN.fullmatch(text) is not None
            # A message that quotes it would put it into logs.
            what = (
                f"the token (--token, REALTIME_KP_TOKEN) must be {_LEAST_TOKEN} or more printable characters"
            )
            require(fits, f"{what} without spaces", f"{len(text)} characters")
        require(
            self.token is not None or self.is_private,
            "others can reach the address to serve at: give --token SECRET, or --token auto to make one",
            self.address,
        )

    @property
    def host_port(self) -> tuple[str, int] | None:
        """`address` as host and port; None where there is none."""
        found = _ADDRESS.fullmatch(self.address or "")
        if found is None or int(found["port"]) > 65535:
            return None
        return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])

    @property
    def is_private(self) -> bool:
        """Whether only programs on this machine can reach the address."""
        return self.host_port is None or is_loopback(self.host_port[0])


def is_loopback(host: str) -> bool:
    """Whether a name or an address, without brackets, is of this machine alone."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
