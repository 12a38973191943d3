"""How far a command is: a bar over many pictures."""

import sys
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")

MANY = 100  # pictures: from here on, progress is shown


def with_progress(items: Iterable[Item], count: int, command: str) -> Iterable[Item]:
    """Show a bar where many pictures take time and the results do not scroll over it."""
    if count < MANY or not sys.stderr.isatty() or sys.stdout.isatty():
        return items
    from tqdm import tqdm  # only here: it takes a while to load

    return tqdm(items, total=count, unit=" pictures", desc=command, file=sys.stderr)
