"""What was understood of a source, in a few lines for people: classes, parts, files passed over, what looks wrong."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pawline.sources.class_names import NamedClasses
from pawline.sources.listing import display_path

if TYPE_CHECKING:
    from pawline.index import IndexRows
    from pawline.sources.classified import ClassifiedSource

MAX_NAMED = 10  # so that a line stays readable with hundreds of classes


def describe(source: "ClassifiedSource", rows: "IndexRows", num_beside_classes: int) -> list[str]:
    """The lines that `ingest` ends with."""
    passed_over = [*_unlabelled(source), *_beside(num_beside_classes)]
    lines = [
        f"{_number(len(rows), 'picture')} in {_number(len({*rows.texts('class_name')}), 'class')}: "
        f"{_counts(rows.texts('class_name'))}",
        *_origin(source),
        *_parts(rows),
        *([f"passed over: {'; '.join(passed_over)}"] if passed_over else []),
    ]
    return [f"ingest: {line}" for line in lines]


def _origin(source: "ClassifiedSource") -> list[str]:
    lines = []
    if source.listing.opened:
        lines.append(f"opened the archives inside the archive: {source.listing.opened}")
    if source.listing.has_classes:
        lines.append("the classes are the labels of the table")
    elif isinstance(source.classes, NamedClasses):
        example = source.classes.example
        lines.append(
            f"the names of the files give the classes: {display_path(example)} is '{example.split('.', 1)[0]}'; "
            "ingest.classes_from_names: false turns this off"
        )
    return lines


def _parts(rows: "IndexRows") -> list[str]:
    given = [part for part in rows.texts("given_part") if part]
    return [f"the source gives the parts: {_counts(given)}"] if given else []


def _unlabelled(source: "ClassifiedSource") -> list[str]:
    if not source.num_unlabelled:
        return []
    folders = ", ".join(sorted(display_path(folder) for folder in source.classes.unlabelled))
    return [
        f"{_number(source.num_unlabelled, 'file')} in {folders} without a class (`pawline predict` takes them)"
    ]


def _beside(num_beside_classes: int) -> list[str]:
    return [f"{_number(num_beside_classes, 'file')} beside the classes"] if num_beside_classes else []


def _counts(texts: Iterable[str]) -> str:
    """cat 307, dog 308"""
    counts = sorted(Counter(texts).items())
    more = f" and {len(counts) - MAX_NAMED:,} more" if len(counts) > MAX_NAMED else ""
    return ", ".join(f"{_printable(name)} {count:,}" for name, count in counts[:MAX_NAMED]) + more


def _number(count: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def _printable(name: str) -> str:
    """The name in one line, without escape codes."""
    return name if name.isprintable() else repr(name)
