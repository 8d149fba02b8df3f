"""The spec: `load_app` reads, checks and builds it; `starter` and `reference_markdown` describe it to people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from portable.errors import Problem, SpecError
from portable.spec.model import App


@dataclass(frozen=True)
class Loaded:
    """A valid app and what should be said about it. `environments` maps each environment to its default cloud.

    `digest` is `app.digest`: the SHA-256 of the resolved spec.
    """

    app: App
    warnings: tuple[Problem, ...]
    environments: Mapping[str, str | None]

    @property
    def digest(self) -> str:
        return self.app.digest


def load_app(
    path: Path, *, environment: str | None = None, profile_check: Callable[[App], Sequence[Problem]] | None = None
) -> Loaded:
    """The app in `path` (a portable.yaml or score.yaml) with the environment merged in.

    Every kind of check ends after some hundred problems, so that a file of nonsense ends soon.

    `profile_check` adds problems of one cloud (see `portable.spec.profile.check_profile`). Raises SpecError with every
    problem that was found, warnings included, and UsageError for an environment that the spec does not have.
    """
    from portable.spec.build import build
    from portable.spec.environments import environment_clouds, overlay_problems, with_environment
    from portable.spec.foreign import refuse_foreign
    from portable.spec.load import read_document
    from portable.spec.score import with_score
    from portable.spec.semantics import check_app
    from portable.spec.validate import MAX_PROBLEMS, check_schema

    read = read_document(path)
    refuse_foreign(read)
    whole, problems = with_score(read)
    document = with_environment(whole, environment)
    value = document.root.plain()
    checked = check_schema(document, "app.v1", value)
    problems += checked.problems
    app = None
    if () not in checked.broken:
        app, found = build(document, value, checked.broken, environment)
        problems += [*found, *islice(check_app(app, document, value), MAX_PROBLEMS)]
        problems += islice(overlay_problems(whole, environment), MAX_PROBLEMS)
        if profile_check is not None:
            problems += profile_check(app)
    problems = sorted(dict.fromkeys(problems), key=document.order)
    if app is None or any(problem.severity == "error" for problem in problems):
        raise SpecError(problems, file=str(path))
    return Loaded(app, tuple(problems), environment_clouds(whole))


def starter(name: str = "hello") -> str:
    """The commented first spec that `portable init` writes, of an app called `name`."""
    from importlib.resources import files

    text = (files(__name__) / "starter.yaml").read_text(encoding="utf-8")
    return text.replace("name: hello\n", f"name: {name}\n").replace("hello.localhost", f"{name}.localhost")


def reference_markdown() -> str:
    """The reference of every key, generated from the JSON Schema: the text of docs/reference/spec.md."""
    from portable.spec.reference import markdown

    return markdown()
