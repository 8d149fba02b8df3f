"""`validate`: every fault of a spec, in each of its environments and on each cloud that is asked about, in one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from portable.errors import Problem, SpecError
from portable.provider import load_provider, provider_names

if TYPE_CHECKING:
    from portable.spec.model import App


@dataclass(frozen=True)
class Report:
    """`checked` are the (environment, cloud) pairs that were looked at; None: no overlay, no cloud."""

    file: Path
    problems: tuple[Problem, ...]
    checked: tuple[tuple[str | None, str | None], ...]
    app: str = ""
    summary: str = ""

    @property
    def errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


def validate(file: Path, *, environment: str | None = None, clouds: Sequence[str] = ()) -> Report:
    """Checks `environment` (None: the bare spec and all environments), each on `clouds` ("all": every installed one; none:
    on the environment's own cloud, if it names one).

    Raises UsageError for an unknown cloud or environment, SpecError where the file is so broken that nothing more can be said.
    """
    from portable.spec import load_app

    names = [load_provider(cloud).name for cloud in (provider_names() if "all" in clouds else clouds)]
    first = load_app(file, environment=environment)
    places = [(environment, first.app.cloud)]
    if environment is None:
        places += list(first.environments.items())
    pairs = tuple(dict.fromkeys((env, cloud) for env, own in places for cloud in (names or [own])))
    problems: dict[Problem, None] = dict.fromkeys(first.warnings)
    for env, cloud in pairs:
        if (env, cloud) == (environment, None):
            continue  # that is what `first` was
        problems |= dict.fromkeys(_problems(file, env, cloud))
    found = sorted(
        problems, key=lambda problem: (problem.file != str(file), problem.file, problem.line, problem.column)
    )
    return Report(file, tuple(found), pairs, first.app.name, _summary(first.app, len(first.environments), names))


def _problems(file: Path, environment: str | None, cloud: str | None) -> Sequence[Problem]:
    from portable.compile import compile_app
    from portable.spec import load_app
    from portable.spec.profile import check_profile

    provider = load_provider(cloud) if cloud else None

    def check(app: App) -> list[Problem]:
        return check_profile(app, provider.profile(app.cluster)) if provider else []

    try:
        loaded = load_app(file, environment=environment, profile_check=check)
        if provider:
            compile_app(loaded.app, provider.profile(loaded.app.cluster))
    except SpecError as error:
        return error.problems
    return loaded.warnings


def _summary(app: App, environments: int, clouds: Sequence[str]) -> str:
    """ "shop: 6 workloads (2 service, 1 cron), 5 resources, 2 environments, checked for aws and gcp"."""
    kinds = Counter(workload.kind for workload in app.workloads.values())
    parts = [
        f"{_count(len(app.workloads), 'workload')} ({', '.join(f'{number} {kind}' for kind, number in kinds.items())})",
        _count(len(app.resources), "resource") if app.resources else "",
        _count(environments, "environment") if environments else "",
        f"checked for {_listed(clouds)}" if clouds else "",
    ]
    return f"{app.name}: " + ", ".join(filter(None, parts))


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
