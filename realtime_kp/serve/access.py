"""Who may see the page: tokens, cookies, and where a request comes from."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from realtime_kp.config import AUTO_TOKEN, is_loopback


class Access:
    """Decides on requests.

    Without a token only names of this machine are served: a page of elsewhere, whose name was made to lead
    here, must not reach it (DNS rebinding). The cookie is derived from the token, so that it is not the token
    itself, and outlives the server.

    Args:
        token: The secret; None where none is demanded, `auto` makes one.

    Attributes:
        token: The secret; None where none is demanded.
    """

    def __init__(self, token: str | None) -> None:
        self.token = secrets.token_urlsafe(24) if token == AUTO_TOKEN else token

    @property
    def cookie(self) -> str:
        """What a browser shows after its first visit; empty where no token is demanded."""
        if self.token is None:
            return ""
        return hmac.new(self.token.encode(), b"realtime-kp cookie", hashlib.sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        """Whether a text is the token, in a time that does not depend on where they differ."""
        return self.token is not None and hmac.compare_digest(_bytes(given), _bytes(self.token))

    def knows_cookie(self, given: str) -> bool:
        """Whether a text is the value of the cookie."""
        return self.token is not None and hmac.compare_digest(_bytes(given), _bytes(self.cookie))

    def bearer(self, authorization: str) -> str:
        """The secret in a header `Authorization`; empty where there is none."""
        scheme, _, given = authorization.partition(" ")
        return given.strip() if scheme.lower() == "bearer" else ""

    def serves(self, host: str) -> bool:
        """Whether a server without a token answers to a header `Host`."""
        return is_loopback(host_name(host))


def host_name(host: str) -> str:
    """The name or address in a header `Host`, without port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def same_origin(origin: str | None, host: str) -> bool:
    """Whether a WebSocket is opened by a page of this server, or by a program that is no browser.

    Args:
        origin: Header `Origin`; None where there is none.
        host: Header `Host`.
    """
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() != ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
