"""PostgreSQL asked in its pod, over its socket: statements on standard input, no driver and no password needed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from portable.compile.outputs import database_name, username
from portable.migrate.databases import pods
from portable.migrate.sides import Side

_PSQL = ("psql", "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-")
_ITERATIONS = 4096


def ask(side: Side, name: str, statements: str, *, timeout: float = 60.0) -> str:
    """What the statements print: a line for each row, its columns with `|` between them.

    Raises ClusterError with the server's words.
    """
    database = pods.database(side, name)
    user = [f"--username={username(database)}", f"--dbname={database_name(database)}"]
    return pods.run(side, name, [*_PSQL, *user], given=statements, timeout=timeout).strip()


def row(side: Side, name: str, statement: str) -> list[str]:
    """The only row's columns; [] for none."""
    found = ask(side, name, statement)
    return found.split("|") if found else []


def verifier(password: str) -> str:
    """What `ALTER ROLE ... PASSWORD` takes in the place of a password, which then is in no statement and no server log.

    SCRAM-SHA-256 of a password in ASCII: https://www.postgresql.org/docs/current/catalog-pg-authid.html, RFC 5803.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    parts = (hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))
    stored, server, salt64 = (base64.b64encode(part).decode() for part in (*parts, salt))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored}:{server}"
