"""Registries without a daemon: images copied between them, pushed to them, and looked up, all by digest, all platforms kept.

Credentials go to `crane` through a credential helper (`portable.images.credentials`), never by argument and never by file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from portable import tools
from portable.errors import ProviderError
from portable.events import Emit, Step, nowhere
from portable.images import credentials
from portable.provider import RegistryLogin
from portable.spec.images import parts
from portable.tools.crane import CRANE
from portable.tools.running import lines_of

_HELPER = "portable"
_ABSENT = re.compile(r"MANIFEST_UNKNOWN|NAME_UNKNOWN|NOT_FOUND|\b404\b", re.IGNORECASE)
_REFUSED = re.compile(r"UNAUTHORIZED|DENIED|\b40[13]\b", re.IGNORECASE)
_LAST_WORDS = 8


def copy(
    source: str, target: str, logins: Sequence[RegistryLogin] = (), *, emit: Emit = nowhere, step: str = "images"
) -> str:
    """Copies the image `source` to the repository `target` ("HOST/PATH", or with the ":TAG" that it is to have there).

    Indexes and all their platforms keep their bytes, and so their digest: returns "HOST/PATH@sha256:...". What is there
    already is not sent again. `logins`: for either registry; the user's own Docker configuration stands in where none fits.
    Raises ProviderError where a registry refuses, ToolError where `crane` is not here.
    """
    repository, tag, _ = parts(target)
    found = digest(source, logins)
    if found is None:
        raise ProviderError(
            f"there is no image {source} to copy", fix="check its name and tag, and what its registry holds"
        )
    source_repository, source_tag, _ = parts(source)
    tag = tag or source_tag or found.replace(":", "-")[:19]  # without a tag a registry may take it for garbage
    _run(["copy", f"{source_repository}@{found}", f"{repository}:{tag}"], logins, emit, step, what=f"copying {source}")
    arrived = digest(f"{repository}:{tag}", logins)
    if arrived != found:
        raise ProviderError(
            f"{repository}:{tag} is not what was copied: {arrived} instead of {found}",
            fix="somebody else writes to that tag: name another repository",
        )
    return f"{repository}@{found}"


def push(
    archive: Path, target: str, logins: Sequence[RegistryLogin] = (), *, emit: Emit = nowhere, step: str = "images"
) -> str:
    """Pushes an archive of `portable.images.stores.saved` as `target` ("HOST/PATH:TAG"); returns "HOST/PATH:TAG@sha256:..."."""
    _run(["push", str(archive), target], logins, emit, step, what=f"pushing {target}")
    found = digest(target, logins)
    if found is None:
        raise ProviderError(f"{target} was pushed and is not in its registry", fix="run the command again")
    return f"{target}@{found}"


def digest(image: str, logins: Sequence[RegistryLogin] = ()) -> str | None:
    """The digest ("sha256:...") of the image's manifest or index in its registry; None where there is none."""
    try:
        return _run(["digest", image], logins, nowhere, "", what=f"looking for {image}").strip()
    except ProviderError as error:
        if _ABSENT.search(error.detail) and not _REFUSED.search(error.detail):
            return None
        raise


def _run(words: Sequence[str], logins: Sequence[RegistryLogin], emit: Emit, step: str, *, what: str) -> str:
    """Standard output of `crane WORDS`; what it says meanwhile becomes progress of `step`."""
    crane = tools.require(CRANE)
    last: deque[str] = deque(maxlen=_LAST_WORDS)
    with (
        _keychain(logins) as environment,
        subprocess.Popen(
            [crane, *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        with lines_of(process, process.stderr) as lines:
            for line in lines:
                last.append(line.strip())
                if step:
                    emit(Step(step, "progress", detail=f"{what}: {line.strip()[:160]}"))
            out = process.stdout.read()
    if process.returncode != 0:
        detail = "\n".join(last)
        refused = (
            "check that you are logged in to that registry and may use the repository"
            if _REFUSED.search(detail)
            else ""
        )
        raise ProviderError(
            f"{what} failed",
            detail=detail,
            fix=refused or "see whether the registry answers, then run the command again",
        )
    return out


@contextmanager
def _keychain(logins: Sequence[RegistryLogin]) -> Iterator[dict[str, str]]:
    """An environment in which `crane` asks our helper for credentials. The folder that makes it so holds no secret."""
    given = {login.server: {"Username": login.username, "Secret": login.password} for login in logins}
    with tempfile.TemporaryDirectory(prefix="portable-") as folder:
        (Path(folder) / "config.json").write_text(json.dumps({"credsStore": _HELPER}))
        helper = Path(folder) / f"docker-credential-{_HELPER}"
        helper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{credentials.__file__}" "$@"\n')
        helper.chmod(0o700)
        yield os.environ | {
            "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
            "DOCKER_CONFIG": folder,
            credentials.LOGINS: json.dumps(given),
            credentials.USERS_CONFIG: os.environ.get("DOCKER_CONFIG", ""),
        }
