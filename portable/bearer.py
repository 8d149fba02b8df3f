"""Bearer tokens that are shorter-lived than the operations which need them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import httpx2

from portable.provider import Token

# A token is renewed this long before it ends: clocks differ, and a request takes a while.
_MARGIN = 60.0


class Bearer(httpx2.Auth):
    """Sends the newest token; makes another when it nears its end or the server no longer takes it. Thread-safe."""

    def __init__(self, make: Callable[[], Token]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._token: Token | None = None

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        token = self._current(None)
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {self._current(token).value}"
            yield request

    def _current(self, refused: Token | None) -> Token:
        """The token at hand, or a new one where that is `refused` or near its end."""
        with self._lock:
            token = self._token
            if token is None or token is refused or token.expires - _MARGIN < time.time():
                token = self._token = self._make()
            return token
