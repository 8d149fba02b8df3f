"""Where Pulumi works and what it is told: its folder, backend, secrets key and environment.

$PORTABLE_STATE, else the user's state folder for `portable`
├── key             the passphrase of local state (0600), made once
├── backend/        Pulumi's own files of local state (.pulumi/stacks, locks, history)
├── home/           Pulumi's home: nothing of the user's own Pulumi is read or changed
└── work/DIGEST/    the project file, one folder for each backend; stack settings; run marks and locks
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import platformdirs

from portable.errors import EngineError

PROJECT = "portable"
PLUGIN = "pulumi-resource-kubernetes"

KubernetesProvider: TypeAlias = Literal["auto", "official", "builtin"]

# What a local run needs of the user's environment: no credentials among it.
_PASSED = ("PATH", "HOME", "USER", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "SYSTEMROOT", "USERPROFILE")
_PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
SECRETS_PROVIDER = "PULUMI_SECRETS_PROVIDER"

_FIXED = {
    "PULUMI_DEBUG_COMMANDS": "true",  # the flag --event-log exists only then
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",  # another machine has no stack settings file
    "PULUMI_PARALLEL_DIFF": "true",
    "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "true",
    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",  # one more copy for every run, for ever; .bak and history stay
    "PULUMI_SUPPRESS_NEO_LINK": "true",
}


@dataclass(frozen=True)
class Workspace:
    """`backend` is a Pulumi backend URL; `local` its folder where it is one (file://)."""

    root: Path
    backend: str
    local: Path | None

    @property
    def folder(self) -> Path:
        return self.root / "work" / hashlib.sha256(self.backend.encode()).hexdigest()[:16]

    @property
    def key(self) -> Path:
        return self.root / "key"

    def state_file(self, stack: str) -> Path | None:
        return self.local and self.local / ".pulumi/stacks" / PROJECT / f"{stack}.json"

    def history_folder(self, stack: str) -> Path | None:
        return self.local and self.local / ".pulumi/history" / PROJECT / stack

    def lock_folder(self, stack: str) -> Path | None:
        return self.local and self.local / ".pulumi/locks/organization" / PROJECT / stack

    def environment(self) -> dict[str, str]:
        """The CLI's environment. A remote backend needs its own credentials, so there the user's is passed on whole."""
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        if self.local is None:
            passed = dict(os.environ)
        else:
            passed["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(self.key)
        home = str(self.root / "home")
        return {**passed, **_FIXED, "PULUMI_BACKEND_URL": self.backend, "PULUMI_HOME": home}

    def secrets_provider(self) -> str | None:
        """What a new stack of a remote backend encrypts with, if not a passphrase."""
        return None if self.local is not None else os.environ.get(SECRETS_PROVIDER)


def open_workspace(state: str | None) -> Workspace:
    """The workspace of the backend `state` (a Pulumi backend URL; None: local files), its folders and key made if needed.

    Raises EngineError for a remote backend without a shared secrets provider, and for folders that cannot be written.
    """
    chosen = os.environ.get("PORTABLE_STATE")
    root = Path(chosen).absolute() if chosen else platformdirs.user_state_path("portable")
    local = _local_folder(state, root)
    # no side files for blob attributes: a kill while one is written would leave a backend that cannot be read
    workspace = Workspace(root, f"{local.as_uri()}?metadata=skip" if local else str(state), local)
    if local is None:
        _require_shared_secrets(str(state), os.environ)
    try:
        for folder in (root, workspace.folder, root / "home", *((local,) if local else ())):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(workspace.folder / "Pulumi.yaml", f"name: {PROJECT}\nruntime: python\n", 0o644)
        if local is not None:
            _write_once(workspace.key, secrets.token_urlsafe(32) + "\n", 0o600)
    except OSError as error:
        raise EngineError(
            f"the state folder {root} cannot be used: {error}", fix="set PORTABLE_STATE to a folder that can be written"
        ) from error
    return workspace


def official_plugin() -> Path | None:
    """The official Kubernetes plugin's binary: on PATH, or the newest in Pulumi's own plugin cache."""
    found = shutil.which(PLUGIN)
    if found:
        return Path(found)
    cache = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins"
    versions = sorted(cache.glob(f"resource-kubernetes-v*/{PLUGIN}"), key=_version)
    return versions[-1] if versions else None


def choose_plugin(wanted: KubernetesProvider) -> Path | None:
    """The official plugin to use, or None for the built-in provider.

    Raises EngineError where the official one was asked for and is not there.
    """
    plugin = None if wanted == "builtin" else official_plugin()
    if wanted == "official" and plugin is None:
        raise EngineError(
            f"the official Kubernetes plugin ({PLUGIN}) is not installed",
            fix="install it with `pulumi plugin install resource kubernetes`, or use `--kubernetes-provider builtin`",
        )
    return plugin


def _local_folder(state: str | None, root: Path) -> Path | None:
    if state is None:
        return root / "backend"
    if state.startswith("file://"):
        return Path(state.removeprefix("file://").partition("?")[0]).expanduser().absolute()
    return None


def _require_shared_secrets(state: str, environment: Mapping[str, str]) -> None:
    if any(environment.get(name) for name in (*_PASSPHRASES, SECRETS_PROVIDER)):
        return
    raise EngineError(
        f"the state in {state.partition('?')[0]} needs secrets that other machines can read too",
        fix=f"set {_PASSPHRASES[0]} (or {_PASSPHRASES[1]}) to a shared passphrase, or {SECRETS_PROVIDER} to the URL of a key "
        "in a cloud's key service",
    )


def _write_once(path: Path, text: str, mode: int) -> None:
    """Makes the file with `text` unless it exists; two processes at once agree on one content."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w") as file:
        file.write(text)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _version(binary: Path) -> tuple[int, ...]:
    numbers = binary.parent.name.rpartition("-v")[2].split(".")
    return tuple(int(number) if number.isdigit() else 0 for number in numbers)
