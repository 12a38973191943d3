"""How far a command is: a bar over many pictures, a line for each of several trainings."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from pawline.terminal import say

Item = TypeVar("Item")

MANY = 100  # pictures: from here on, progress is shown


def with_progress(items: Iterable[Item], count: int, command: str) -> Iterable[Item]:
    """Show a bar where many pictures take time and the results do not scroll over it."""
    if count < MANY or not sys.stderr.isatty() or sys.stdout.isatty():
        return items
    from tqdm import tqdm  # only here: it takes a while to load

    return tqdm(items, total=count, unit=" pictures", desc=command, file=sys.stderr)


def said_each(trainings: Iterable[tuple[str, Item, float]], count: int) -> Iterator[tuple[str, Item]]:
    """Pass on what the trainings of a series found, with a line for each: a series takes minutes or hours, and a log
    shall show how far it is. trainings: see `series.run_each`."""
    from pawline.workspace.history import duration

    for number, (name, found, seconds_left) in enumerate(trainings, start=1):
        left = f"; about {duration(seconds_left)} left" if number < count else ""
        say(f"{number} of {count} trainings done: {name}{left}")
        yield name, found
