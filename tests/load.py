"""Load on a route or an address: a constant rate that waits for nobody, and a record of what became of every request.

    with load(url, Stream("keep-alive", rate=20), Stream("slow", rate=0.5, path="/slow?seconds=5", patience=20)) as record:
        ...
    print(record.summary())

Open loop: request n of a stream is due n/rate seconds after its start, whether or not earlier ones were answered, and its seconds
count from then, so a server that stalls cannot hide it. Nothing is ever sent again: what fails is recorded as failed. One
exception, the one that HTTP asks of clients: an idle connection that the server has closed before a request was sent
on it is replaced (RFC 9112, 9.5).
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from statistics import quantiles
from threading import Event, Thread
from urllib.parse import SplitResult, urlsplit

# More would not fit in a test's machine: a request that finds no thread waits, and its seconds tell.
AT_ONCE = 256


@dataclass(frozen=True)
class Stream:
    """Requests of one kind: `rate` a second, each given up after `patience` seconds.

    `keep_alive`: on the connection that has been idle longest, a new one only if there is none; else each on its own.
    `connections` are opened at the start. `body(n)` is what request n sends: `method` wants to be POST or PUT then.
    """

    name: str
    rate: float
    path: str = "/"
    keep_alive: bool = True
    connections: int = 0
    patience: float = 10.0
    method: str = "GET"
    body: Callable[[int], bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """What became of request `number` of a stream. `due` is in seconds of `time.monotonic()`, `seconds` counts from there to the
    last byte. `status` is None where no whole answer came: `error` says why. `replica`: who answered, where it could be told."""

    stream: str
    number: int
    due: float
    seconds: float
    status: int | None
    error: str
    replica: str
    reused: bool
    body: bytes

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def ended(self) -> float:
        return self.due + self.seconds


@dataclass(frozen=True)
class Summary:
    """`longest_gap`: the longest time in which no request succeeded, from answer to answer. `spread`: replica -> good answers."""

    requests: int
    failed: int
    longest_gap: float
    p50: float
    p99: float
    reused: int
    spread: Mapping[str, int]
    failures: Mapping[str, int]

    def unevenness(self) -> float:
        """How far the replica that is furthest from an even share is away from it: 0.2 is 20 %."""
        even = sum(self.spread.values()) / max(1, len(self.spread))
        return max((abs(count - even) / even for count in self.spread.values()), default=0.0)

    def __str__(self) -> str:
        failures = f" {dict(self.failures)}" if self.failures else ""
        return (
            f"{self.requests} requests, {self.failed} failed{failures}, longest gap {self.longest_gap:.2f} s, "
            f"p50 {self.p50 * 1000:.0f} ms, p99 {self.p99 * 1000:.0f} ms, {self.reused} on reused connections, "
            f"{dict(self.spread)}"
        )


@dataclass
class Record:
    """Every response so far, in the order in which they came; complete once the load has ended."""

    responses: list[Response] = field(default_factory=list)

    def failed(self) -> list[Response]:
        return [response for response in self.responses if not response.good]

    def summary(self, *streams: str, since: float = 0.0, until: float = float("inf")) -> Summary:
        """Of these streams (none named: all), and of what was due between two moments of `time.monotonic()`."""
        chosen = [
            each for each in self.responses if since <= each.due < until and (not streams or each.stream in streams)
        ]
        good = sorted((response for response in chosen if response.good), key=lambda response: response.ended)
        seconds = [response.seconds for response in good] or [0.0]
        percentiles = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
        moments = [min((each.due for each in chosen), default=0.0), *(each.ended for each in good)]
        return Summary(
            requests=len(chosen),
            failed=len(chosen) - len(good),
            longest_gap=max((later - earlier for earlier, later in pairwise(moments)), default=0.0),
            p50=percentiles[49],
            p99=percentiles[98],
            reused=sum(response.reused for response in chosen),
            spread=Counter(response.replica for response in good if response.replica),
            failures=Counter(response.error or f"status {response.status}" for response in chosen if not response.good),
        )


def named_in_body(response_headers: Mapping[str, str], body: bytes) -> str:
    """The pod in the answer of examples/hello: `Hello from POD, version 1.0`."""
    _, found, rest = body.decode(errors="replace").partition(" from ")
    return rest.partition(",")[0].strip() if found else ""


@contextmanager
def load(
    url: str,
    *streams: Stream,
    address: str = "127.0.0.1",
    trust: ssl.SSLContext | None = None,
    replica: Callable[[Mapping[str, str], bytes], str] = named_in_body,
) -> Iterator[Record]:
    """Runs while the block runs; then waits for what is still under way, each request no longer than its patience.

    Requests go to `address`, whatever the host of `url` is. `replica` reads from headers and body who answered.
    """
    target, record, over = _Target(urlsplit(url), address, trust, replica), Record(), Event()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="load") as pool:
        senders = [Thread(target=_send, args=(target, stream, record, over, pool)) for stream in streams]
        for sender in senders:
            sender.start()
        try:
            yield record
        finally:
            over.set()
            for sender in senders:
                sender.join()


@dataclass(frozen=True)
class _Target:
    url: SplitResult
    address: str
    trust: ssl.SSLContext | None
    replica: Callable[[Mapping[str, str], bytes], str]

    def connect(self, patience: float) -> HTTPConnection:
        port = self.url.port or (443 if self.url.scheme == "https" else 80)
        connection = HTTPConnection(self.url.netloc, timeout=patience)
        plain = socket.create_connection((self.address, port), timeout=patience)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = self.trust.wrap_socket(plain, server_hostname=self.url.hostname) if self.trust else plain
        return connection


def _send(target: _Target, stream: Stream, record: Record, over: Event, pool: ThreadPoolExecutor) -> None:
    idle: deque[HTTPConnection] = deque()
    for _ in range(stream.connections):
        try:
            idle.append(target.connect(stream.patience))
        except OSError:  # the first request on it will tell
            break
    began, number = time.monotonic(), 0
    while not over.wait(max(0.0, began + number / stream.rate - time.monotonic())):
        pool.submit(_one, target, stream, record, idle, number, began + number / stream.rate)
        number += 1
    over.wait()
    pool.submit(_close, idle, stream.patience, record, stream.name, number).result()


def _close(idle: deque[HTTPConnection], patience: float, record: Record, name: str, sent: int) -> None:
    """Closes the idle connections once every request has its answer, or was given up."""
    deadline = time.monotonic() + patience + 1
    while time.monotonic() < deadline and sum(each.stream == name for each in record.responses) < sent:
        time.sleep(0.01)
    while idle:
        idle.popleft().close()


def _one(target: _Target, stream: Stream, record: Record, idle: deque[HTTPConnection], number: int, due: float) -> None:
    status, error, who, reused, content = None, "", "", False, b""
    connection = _idle_connection(idle) if stream.keep_alive else None
    try:
        reused = connection is not None
        connection = connection or target.connect(stream.patience)
        if connection.sock is not None:
            connection.sock.settimeout(stream.patience)
        path = f"{target.url.path.rstrip('/')}{stream.path}"
        headers = {**stream.headers} if stream.keep_alive else {"Connection": "close", **stream.headers}
        connection.request(stream.method, path, stream.body(number) if stream.body else None, headers)
        answer = connection.getresponse()
        content = answer.read()
        status, who = answer.status, target.replica(dict(answer.headers), content)
        if stream.keep_alive and not answer.will_close:
            idle.append(connection)
        else:
            connection.close()
    except (OSError, HTTPException) as failure:
        error = f"{type(failure).__name__}: {failure}".rstrip(": ")
        if connection is not None:
            connection.close()
    seconds = time.monotonic() - due
    record.responses.append(Response(stream.name, number, due, seconds, status, error, who, reused, content))


def _idle_connection(idle: deque[HTTPConnection]) -> HTTPConnection | None:
    """The one that waited longest, without those that the server has closed meanwhile."""
    while idle:
        try:
            connection = idle.popleft()
        except IndexError:  # another request was quicker
            return None
        if connection.sock is not None and not _readable(connection.sock):
            return connection
        connection.close()
    return None


def _readable(sock: socket.socket) -> bool:
    """An idle connection with something to read was closed, or has an answer that nobody asked for."""
    return bool(select.select([sock], [], [], 0)[0])


def failures(responses: Sequence[Response], limit: int = 5) -> str:
    """The first failed responses, for the message of an assertion."""
    bad = [response for response in responses if not response.good]
    lines = [
        f"{each.stream} #{each.number} after {each.seconds:.2f} s: {each.error or each.status} {each.body[:80]!r}"
        f"{' (reused connection)' if each.reused else ''}"
        for each in bad[:limit]
    ]
    return "\n".join([f"{len(bad)} of {len(responses)} failed", *lines])
