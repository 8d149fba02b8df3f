"""`python -m tests.benchmarks [startup|size|up|reactions|migrate-large|migrate-small ...]`: measures, prints, and rewrites the tables in docs/benchmarks.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tests.benchmarks import kind_up, page, reactions, size, startup, volumes

SECTIONS: dict[str, tuple[Callable[[int], str], int]] = {
    "startup": (startup.measure, 15),
    "size": (size.measure, 5),
    "up": (kind_up.measure, 3),
    "reactions": (reactions.measure, 1),
    "migrate-large": (volumes.large, 2),
    "migrate-small": (volumes.small, 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--repetitions", type=int, help="rounds instead of each section's own number")
    parser.add_argument("--print-only", action="store_true", help="leave docs/benchmarks.md as it is")
    options = parser.parse_args()
    for name in options.sections or SECTIONS:
        measure, usual = SECTIONS[name]
        body = measure(options.repetitions or usual)
        print(f"\n{name}\n\n{body}\n\n{page.machine()}", flush=True)
        if not options.print_only:
            page.rewrite(name, body, command=f"python -m tests.benchmarks {name}")


if __name__ == "__main__":
    main()
