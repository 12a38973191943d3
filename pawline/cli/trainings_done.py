"""How far a series of trainings is. (Not in progress.py, which `predict` needs in a container without the history.)"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pawline.terminal import say
from pawline.workspace.history import duration

Item = TypeVar("Item")


def said_each(trainings: Iterable[tuple[str, Item, float]], count: int) -> Iterator[tuple[str, Item]]:
    """Pass on what the trainings of a series found, with a line for each: a series takes minutes or hours, and a log
    shall show how far it is. trainings: see `series.run_each`."""
    for number, (name, found, seconds_left) in enumerate(trainings, start=1):
        left = f"; about {duration(seconds_left)} left" if number < count else ""
        say(f"{number} of {count} trainings done: {name}{left}")
        yield name, found
