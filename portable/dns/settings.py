"""What the user chose for DNS and certificates: environment variables, else a table of the configuration file.

$PORTABLE_CONFIG, else config.toml in the user's configuration folder (Linux: ~/.config/portable)

[dns]
mode = "auto"                        # "rfc2136": only the server below, "manual": print what to create. $PORTABLE_DNS
server = "192.0.2.53:53"             # takes updates by RFC 2136                                  $PORTABLE_DNS_SERVER
key-file = "~/.config/update.key"    # as `tsig-keygen` writes it                               $PORTABLE_DNS_KEY_FILE
address-wait = 600                   # seconds to wait for a load balancer                  $PORTABLE_DNS_ADDRESS_WAIT

[acme]
directory = "https://..."            # Let's Encrypt, if left out                             $PORTABLE_ACME_DIRECTORY
ca = "~/ca.pem"                      # who signed that server's own certificate                      $PORTABLE_ACME_CA
email = "ops@example.com"            # where the authority may write to                           $PORTABLE_ACME_EMAIL
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import platformdirs

from portable.errors import UsageError

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
Mode: TypeAlias = Literal["auto", "rfc2136", "manual"]
_MODES = ("auto", "rfc2136", "manual")


@dataclass(frozen=True)
class DnsSettings:
    """`key_file` None: updates go unsigned, for servers that trust addresses. `address_wait` in seconds."""

    mode: Mode = "auto"
    server: str = ""
    key_file: Path | None = None
    address_wait: float = 600.0


@dataclass(frozen=True)
class AcmeSettings:
    directory: str = LETS_ENCRYPT
    ca: Path | None = None
    email: str = ""
    issuer: str = ""


def dns_settings(environment: Mapping[str, str] = os.environ) -> DnsSettings:
    """Raises UsageError for a value that cannot be."""
    given = _table("dns", DnsSettings, environment)
    mode = given.get("mode", "auto")
    if mode not in _MODES:
        raise UsageError(f"the DNS mode {mode!r} does not exist", fix=f"PORTABLE_DNS is one of {', '.join(_MODES)}")
    if mode == "rfc2136" and not given.get("server"):
        raise UsageError(
            "DNS by RFC 2136 needs a server",
            detail="PORTABLE_DNS is rfc2136, and neither PORTABLE_DNS_SERVER nor the configuration file names one",
            fix="set PORTABLE_DNS_SERVER=HOST[:PORT]",
        )
    return DnsSettings(
        cast("Mode", mode), given.get("server", ""), _path(given.get("key_file")), _seconds(given.get("address_wait"))
    )


def acme_settings(environment: Mapping[str, str] = os.environ) -> AcmeSettings:
    given = _table("acme", AcmeSettings, environment)
    return AcmeSettings(
        directory=given.get("directory") or LETS_ENCRYPT,
        ca=_path(given.get("ca")),
        email=given.get("email", ""),
        issuer=given.get("issuer", ""),
    )


def config_file(environment: Mapping[str, str] = os.environ) -> Path:
    chosen = environment.get("PORTABLE_CONFIG")
    return Path(chosen) if chosen else platformdirs.user_config_path("portable") / "config.toml"


def _table(name: str, shape: type, environment: Mapping[str, str]) -> dict[str, str]:
    """The texts of one table's settings, by field; the environment wins."""
    file = config_file(environment)
    written = _read(file).get(name, {})
    known = {field.name.replace("_", "-"): field.name for field in fields(shape)}
    unknown = set(written) - set(known) if isinstance(written, dict) else {str(written)}
    if unknown:
        raise UsageError(
            f"{file}: the table [{name}] has no {', '.join(sorted(unknown))}", fix=f"it knows {', '.join(known)}"
        )
    found = {known[key]: str(value) for key, value in written.items()}
    for field in known.values():
        variable = "PORTABLE_DNS" if field == "mode" else f"PORTABLE_{name}_{field}".upper()
        if environment.get(variable):
            found[field] = environment[variable]
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"the configuration file {file} cannot be read: {error}", fix="it is TOML") from error


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _seconds(text: str | None) -> float:
    if not text:
        return DnsSettings.address_wait
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no number of seconds", fix="PORTABLE_DNS_ADDRESS_WAIT=600 waits ten minutes"
        ) from None
