"""One connection pool to an API server: retries, streams, and refusals as ClusterError."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portable.kube import refusals

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True)
class Wire:
    """`server`: its URL, for errors."""

    http: httpx2.Client
    server: str

    def json(self, method: str, path: str, **options: Any) -> Any:
        """Retries what the server asks to retry (429, 503 with Retry-After) and, for reads, a lost connection."""
        import httpx2

        for attempt in range(5):
            try:
                response = self.http.request(method, path, **options)
            except httpx2.HTTPError as error:
                if attempt < 2 and (method == "GET" or isinstance(error, httpx2.ConnectError)):
                    time.sleep(0.2 * (attempt + 1))
                    continue
                raise refusals.unreachable(self.server, error) from error
            if response.status_code in (429, 503) and attempt < 4:
                time.sleep(_retry_after(response, attempt))
                continue
            if response.status_code >= 400:
                raise refusals.refusal(response.status_code, refusals.answered(response), self.server)
            return response.json()
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[Iterator[str]]:
        import httpx2

        try:
            with self.http.stream(method, path, **options) as response:
                if response.status_code >= 400:
                    response.read()
                    raise refusals.refusal(response.status_code, refusals.answered(response), self.server)
                yield response.iter_lines()
        except httpx2.HTTPError as error:
            raise refusals.unreachable(self.server, error) from error


def _retry_after(response: httpx2.Response, attempt: int) -> float:
    header = response.headers.get("Retry-After", "")
    return min(float(header), 10.0) if header.isdigit() else 0.2 * 2**attempt
