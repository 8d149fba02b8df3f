"""Official releases, taken only if they match the sums that the release publishes."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import socket
import tarfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from portable.errors import ToolError
from portable.tools.tool import Download

# Short, so that a closed network is noticed at once and the build from source begins.
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0


class Unreachable(Exception):
    """The release host cannot be reached or does not have the file: not an error as long as there is another way."""


def fetch(download: Download, into: Path, name: str) -> Path:
    """Downloads the tool to `into/name`, verified and executable.

    Raises Unreachable where nothing (or nothing of that name) is served, and ToolError where what is served is not what
    the release's checksum file says: that is never passed over in silence.
    """
    probe(download.checksums)
    file_name = PurePosixPath(urlsplit(download.url).path).name
    expected = _published_sum(_read(download.checksums).decode("utf-8", "replace"), file_name)
    if expected is None:
        raise ToolError(
            f"{download.checksums} does not list {file_name}", fix="report this: the release's layout changed"
        )
    archive = into / (file_name + ".part")
    actual = _save(download.url, archive)
    if actual != expected:
        archive.unlink()
        raise ToolError(
            f"the download {download.url} is damaged or was tampered with",
            detail=f"its SHA-256 is {actual}, the release says {expected}",
            fix="try again; if it stays so, somebody between you and the release host changes files",
        )
    target = into / name
    if download.member:
        _extract(archive, download.member, target)
        archive.unlink()
    else:
        archive.rename(target)
    target.chmod(0o755)
    return target


def probe(url: str) -> None:
    """Raises Unreachable within seconds where no connection to the host of `url` can be made (proxies are respected)."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise Unreachable(f"{parts.hostname} cannot be reached: {error}") from error


def _published_sum(text: str, file_name: str) -> str | None:
    for line in text.splitlines():
        fields = line.split()
        # "SUM  FILE", with a star before the name in binary mode, and sometimes with a path.
        if len(fields) == 2 and PurePosixPath(fields[1].lstrip("*")).name == file_name:
            return fields[0].lower()
    return None


def _open(url: str) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(url, timeout=READ_SECONDS)
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url}: {error}") from error


def _read(url: str) -> bytes:
    with _open(url) as response:
        return response.read(1 << 20)


def _save(url: str, path: Path) -> str:
    hashed = hashlib.sha256()
    try:
        with _open(url) as response, path.open("wb") as file:
            while block := response.read(1 << 20):
                hashed.update(block)
                file.write(block)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url}: {error}") from error
    return hashed.hexdigest()


def _extract(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as tar:
        source = tar.extractfile(member)
        if source is None:
            raise ToolError(f"{archive.name} holds no file {member}", fix="report this: the release's layout changed")
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
