"""What went wrong in an engine run, in the words of whoever said no."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from portable.engine.state import name_of
from portable.errors import EngineError, PortableError, SpecError, StateLocked

_LOCKED = "the stack is currently locked"
_CORRUPT = ("failed to load checkpoint", "unmarshalling", "invalid character", "snapshot integrity failure")
_KEY = ("incorrect passphrase", "failed to decrypt", "passphrase must be set")
# "creating urn:... : 1 error occurred:\n * " and the like, which Pulumi puts before a provider's own sentence
_NOISE = re.compile(r"^\s*(?:error|warning): |\s*\* |\d+ errors? occurred:\s*|^\w+ urn:\S+: ", re.MULTILINE)


def failure(
    failures: Mapping[str, Exception], diagnostics: Sequence[tuple[str, str]], output: str, *, backup: str
) -> PortableError:
    """The error of a failed run. `failures`: URN -> what our own types raised; `diagnostics`: (URN, Pulumi's message);
    `output`: all that the CLI printed, for failures before the run began; `backup`: where the state's backup is."""
    ours = {
        urn: error
        for urn, error in failures.items()
        if isinstance(error, PortableError) and error.message != "interrupted"
    }
    if ours:
        if problems := [
            problem for error in ours.values() if isinstance(error, SpecError) for problem in error.problems
        ]:
            return SpecError(problems)
        (urn, first), *rest = ours.items()
        more = [_also(error, other, first.fix) for other, error in rest]
        first.detail = "\n".join(part for part in (first.detail, *more) if part)
        return _placed(first, urn)
    if failures:
        urn, error = next(iter(failures.items()))
        return EngineError(f"{name_of(urn)}: {type(error).__name__}: {error}")
    if _LOCKED in output:
        return StateLocked("another operation holds the stack", detail=_clean(output), fix="wait until it has ended")
    if any(sign in output for sign in _KEY):
        return EngineError(
            "the state's secrets cannot be decrypted: its passphrase is another one",
            detail=_clean(output),
            fix="use the key file or passphrase that the state was made with",
        )
    if any(sign in output for sign in _CORRUPT):
        return EngineError(
            "the state cannot be read", detail=_clean(output), fix=f"restore the copy that Pulumi keeps: {backup}"
        )
    named = [(urn, _clean(message)) for urn, message in diagnostics if urn and _clean(message)]
    if named:
        urn, message = named[0]
        rest = "\n".join(f"{name_of(urn)}: {message}" for urn, message in named[1:])
        return EngineError(f"{name_of(urn)}: {message}", detail=rest)
    return EngineError("the engine failed", detail=_clean(output))


def _also(error: PortableError, urn: str, said: str) -> str:
    """Another failure of the same run; what to do about it, unless that is `said` already."""
    fix = f" ({error.fix})" if error.fix and error.fix != said else ""
    return f"{name_of(urn)}: {error.message}{fix}"


def _placed(error: PortableError, urn: str) -> PortableError:
    """The error with the object's name in front, unless it says so itself."""
    name = name_of(urn)
    if name.rpartition("/")[2] not in error.message:
        error.message = f"{name}: {error.message}"
        error.args = (error.message,)
    return error


def _clean(text: str) -> str:
    return _NOISE.sub("", text).strip()
