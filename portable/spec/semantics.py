"""(in work)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from portable.errors import Problem
from portable.spec.document import Document
from portable.spec.model import App


def check_app(app: App, document: Document, value: Mapping[str, Any]) -> Iterator[Problem]:
    yield from ()
