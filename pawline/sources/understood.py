"""What was understood of a source, in a few lines for people: classes, parts, files passed over, what looks wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pawline.sources.class_folders import are_pieces
from pawline.sources.class_names import NamedClasses
from pawline.sources.listing import LINK_OUT, LINKED_FOLDER, display_path
from pawline.terminal import listed
from pawline.words import plural

if TYPE_CHECKING:
    from pawline.index import IndexRows
    from pawline.sources.classified import ClassifiedSource

# What programs write where a table has no value.
MISSING_VALUES = {"nan", "null", "n/a", "#n/a", "<na>", "nat"}
MAX_NAMED = 10  # so that a line stays readable with hundreds of classes


def describe(
    source: "ClassifiedSource", rows: "IndexRows", num_beside_classes: int, not_pictures: Counter[str]
) -> list[str]:
    """The lines that `ingest` ends with."""
    passed_over = [
        *_unlabelled(source),
        *_not_pictures(not_pictures),
        *_beside(num_beside_classes),
        *_hidden(source.listing.passed_over),
    ]
    lines = [
        f"{plural(len(rows), 'file')} in {plural(len({*rows.texts('class_name')}), 'class')} (prepare checks them): "
        f"{_counts(rows.texts('class_name'))}",
        *_origin(source),
        *_parts(rows),
        *([f"passed over: {'; '.join(passed_over)}"] if passed_over else []),
    ]
    return [f"ingest: {line}" for line in [*lines, *_suspicious(source, rows)]]


def _suspicious(source: "ClassifiedSource", rows: "IndexRows") -> Iterator[str]:
    class_names = sorted({*rows.texts("class_name")})
    found = {*zip(rows.texts("given_part"), rows.texts("class_name"), strict=True)}
    if empty := source.empty_classes(found):
        yield f"suspicious: no picture in {_listed([_printable(display_path(name)) for name in empty])}: no class"
    unclear = {
        source.place(number).class_name for number in source.listing.unclear_names if source.has_place[number]
    }
    if unclear := {name for name in unclear if not name.isascii()}:
        yield (
            f"suspicious: the archive does not say the code page of {_listed(sorted(map(_printable, unclear)))}; if "
            "these class names look wrong, unpack it with `unar` or `unzip -O CODEPAGE` and set ingest.source to the "
            "folder"
        )
    if garbled := [f"{_printable(name)} (meant: {meant}?)" for name in class_names if (meant := _ungarbled(name))]:
        yield f"suspicious: class names read in a wrong code page: {_listed(garbled)}; rename the folders in the source"
    if are_pieces(class_names):
        yield (
            f"suspicious: the classes {_listed(class_names)} look like pieces of one set; if so, write a labels.csv of "
            "path,label beside them"
        )
    if missing := sorted(name for name in class_names if name.lower() in MISSING_VALUES):
        yield (
            f"suspicious: the class {_listed([repr(name) for name in missing])} looks like a missing label; leave its "
            "rows out of the table"
        )
    if problems := Counter(problem for problem in rows.texts("problem") if problem):
        by_problem = _listed([f"{problem} {count:,}" for problem, count in sorted(problems.items())])
        advice = "; ingest.follow_links: true reads links" if {LINK_OUT, LINKED_FOLDER} & {*problems} else ""
        yield f"suspicious: {plural(problems.total(), 'file')} that cannot be read ({by_problem}){advice}"


def _ungarbled(name: str) -> str:
    """The name that UTF-8 bytes mean, where they were read in an old code page; else empty."""
    for code_page in ("cp1252", "latin-1", "cp437", "cp850"):
        try:
            meant = name.encode(code_page).decode()
        except UnicodeError:
            continue
        return meant if meant != name and meant.isprintable() else ""
    return ""


def _origin(source: "ClassifiedSource") -> list[str]:
    lines = []
    if source.listing.opened:
        lines.append(f"opened the archives inside the source: {source.listing.opened}")
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
    return [f"{plural(source.num_unlabelled, 'file')} in {folders} without a class (`pawline predict` takes them)"]


def _not_pictures(endings: Counter[str]) -> list[str]:
    if not endings:
        return []
    named = {ending or "without an ending": count for ending, count in endings.items()}
    by_ending = _listed([f"{_printable(name)} {count:,}" for name, count in sorted(named.items())])
    verb = "is" if endings.total() == 1 else "are"
    return [f"{plural(endings.total(), 'file')} that by name and content {verb} no picture ({by_ending})"]


def _hidden(passed_over: Counter[str]) -> list[str]:
    files = Counter({name: count for name, count in passed_over.items() if not name.endswith("/")})
    folders = sorted(_printable(name.rstrip("/")) for name in passed_over.keys() - files)
    return [
        *([f"{plural(files.total(), 'system or hidden file')} ({_counts(files.elements())})"] if files else []),
        *([f"system and hidden folders: {_listed(folders)}"] if folders else []),
    ]


def _beside(num_beside_classes: int) -> list[str]:
    return [f"{plural(num_beside_classes, 'file')} beside the classes"] if num_beside_classes else []


def _counts(texts: Iterable[str]) -> str:
    """cat 307, dog 308"""
    return _listed([f"{_printable(name)} {count:,}" for name, count in sorted(Counter(texts).items())])


def _listed(names: list[str]) -> str:
    return listed(names, MAX_NAMED)


def _printable(name: str) -> str:
    """The name in one line, without escape codes."""
    return name if name.isprintable() else repr(name)
