"""Cron expressions as Kubernetes reads them: robfig/cron's standard parser, which CronJob uses.

Python's cron libraries follow other dialects (cronsim takes `L` and `7` for Sunday, which a CronJob refuses), hence these lines.
"""

from __future__ import annotations

_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


def cron_fault(expression: str) -> str | None:
    """What is wrong with a schedule, in words; None when a CronJob takes it."""
    text = expression.strip()
    if text.startswith("@"):
        return None if text in _MACROS else f"{text} is not one of {', '.join(_MACROS)}"
    if "TZ=" in text:
        return "a time zone cannot be set in the schedule; schedules are in UTC"
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"it has {len(parts)} fields; five are needed: minute, hour, day of month, month, day of week"
    for part, (title, low, high, names) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            fault = _item_fault(item, low, high, names)
            if fault:
                return f"the {title} field: {fault}"
    return None


def _item_fault(item: str, low: int, high: int, names: dict[str, int]) -> str | None:
    span, slash, step = item.partition("/")
    if slash and (not (step.isascii() and step.isdecimal()) or len(step) > 9 or int(step) == 0):
        return f'"{item}" has no step above 0 after the /'
    if span in ("*", "?"):
        return None
    ends = [names.get(word.lower(), word) for word in span.split("-")]
    numbers = [
        int(end) for end in ends if isinstance(end, int) or (end.isascii() and end.isdecimal() and len(end) < 10)
    ]
    if len(numbers) != len(ends) or len(ends) > 2:
        return f'"{item}" is no number, name, range or *'
    if min(numbers) < low or max(numbers) > high:
        return f'"{item}" is outside {low}-{high}'
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        return f'the range "{item}" runs backwards'
    return None
