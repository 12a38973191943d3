"""`pawline relabel`: merge decisions about labels into data/relabel.csv, which `ingest` reads."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.addresses import is_address, without_secrets
from pawline.cli.named_file import refuse_no_file
from pawline.errors import DatasetError, ParamsError
from pawline.terminal import printable, say, shell_word
from pawline.words import plural
from pawline.workspace.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pawline.relabel import Decision


def add_command(commands: Any) -> None:
    command = commands.add_parser("relabel", help="merge decisions about labels into data/relabel.csv")
    command.add_argument(
        "file", metavar="FILE", type=Path, help="CSV: digest,path,label,who,when, from the page of suspects"
    )
    command.add_argument("--who", default="", help="who decided, where the file does not say it")
    command.add_argument(
        "--add-to",
        type=Path,
        metavar="FOLDER",
        help="copy decided pictures that the data does not hold yet into one folder per class there",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the whole file, then copy pictures, then merge it. Raises DatasetError, and then nothing was written."""
    from pawline.relabel import kept_decisions, merge, read_decisions, refuse_unknown_classes, write_decisions

    at = Layout()
    refuse_no_file(arguments.file, "give the file that the page of `pawline suspects` made")
    decisions = read_decisions(arguments.file)
    if not decisions:
        raise DatasetError(
            f"{arguments.file}: holds no decision; decide on the page of `pawline suspects`, then save again"
        )
    class_names, digests = _known(at.index)
    refuse_unknown_classes(decisions, class_names, arguments.file)
    old = kept_decisions(at.relabel)
    unmatched = [one for one in decisions if one.digest not in digests]
    if arguments.add_to:
        _add(unmatched, arguments.add_to, class_names)
    today = datetime.now(UTC).date().isoformat()
    signed = [replace(one, who=one.who or arguments.who, when=one.when or today) for one in decisions]
    merged = merge(old, signed)
    if merged.num_new or merged.num_changed:
        write_decisions(at.relabel, merged.decisions)
    print(
        f"{at.relabel}: {plural(merged.num_new, 'new decision')}, {merged.num_changed:,} changed, "
        f"{merged.num_known:,} known before; {_not_in_data(unmatched, old, arguments)}"
    )
    if merged.num_new or merged.num_changed:
        if nameless := sum(1 for one in signed if not one.who):
            say(f"note: {plural(nameless, 'decision')} without a name; `--who NAME` says who decided")
        print(f"next: `git add {at.relabel}`, then `dvc repro`")
    return 0


def _not_in_data(unmatched: "Sequence[Decision]", old: "Sequence[Decision]", arguments: argparse.Namespace) -> str:
    """How many decisions are about pictures that the data does not hold, and what to do about them.

    A picture of no class is not missed: an earlier `ingest` may have left it out, and there is nothing to learn."""
    from pawline.relabel import NO_CLASS

    known = {one.digest for one in old}
    new = {one.digest: one.label for one in unmatched if one.digest not in known}
    num_left_out = sum(1 for label in new.values() if label == NO_CLASS)
    num_missed = len(new) - num_left_out
    words = f"{num_missed:,} without a picture in {Layout().index}"
    if num_left_out:
        words += f", and {num_left_out:,} {NO_CLASS}, which it leaves out"
    if num_missed and not arguments.add_to:
        again = f"pawline relabel {shell_word(str(arguments.file))} --add-to FOLDER"
        words += (
            f"\nto learn from those pictures too: `{again}`, which copies them into one folder per class there"
        )
    return words


def _add(decisions: "Sequence[Decision]", folder: Path, class_names: list[str]) -> None:
    from pawline.label_queue import add_pictures

    _refuse_folder(folder, class_names)
    use = _use_of(folder, class_names)
    added = add_pictures(decisions, folder)
    by_class = ", ".join(f"{name} {count:,}" for name, count in sorted(added.num_by_class.items()))
    print(
        f"{folder}: {plural(added.num_by_class.total(), 'picture')} added{f' ({by_class})' if by_class else ''}, "
        f"{added.num_known:,} there before; {use}"
    )


def _refuse_folder(folder: Path, class_names: list[str]) -> None:
    """Raise ParamsError for what is no folder, for a folder in which DVC deletes what it did not write, and for
    pictures/cat, where cat/ would come to lie in it; not where folders of classes lie in it already."""
    place, name = folder.resolve(), printable(str(folder))
    if place.exists() and not place.is_dir():
        raise ParamsError(f"--add-to {name}: is a file, expected a folder; name another")
    outputs = [Layout().raw.resolve(), Layout().prepared.resolve()]
    if any(output in (place, *place.parents) for output in outputs):
        raise ParamsError(f"--add-to {name}: the next run would delete what it did not write there; name another")
    if place.name in class_names and not _has_classes(folder, class_names):
        raise ParamsError(
            f"--add-to {name}: has the name of a class, and would get folders of classes; name the folder around it, "
            f"{printable(str(folder.parent if folder.name else place.parent))}"
        )


def _has_classes(folder: Path, class_names: list[str]) -> bool:
    return any((folder / name).is_dir() for name in class_names)


def _use_of(folder: Path, class_names: list[str]) -> str:
    """Whether training will use pictures that are copied into this folder, in words."""
    from pawline.params.whole import load_params

    source = load_params().ingest.source
    named, place = without_secrets(source), Path(source).resolve()
    if is_address(source) or not place.is_dir():
        return f"training does not use them: ingest.source is {named}, no folder; make a folder of it first"
    if place not in (folder.resolve(), *folder.resolve().parents):
        return f"training does not use them: ingest.source is {named}; copy them into it"
    if _has_classes(folder, class_names):
        return "training uses them: they lie in ingest.source"
    return f"training uses them only where ingest.source, {named}, has its folders of classes there"


def _known(index: Path) -> tuple[list[str], set[str]]:
    """The class names and the digests of the data."""
    import pyarrow.parquet as pq

    if not index.exists():
        raise DatasetError(f"{index}: not there, so the classes are not known; make it with `dvc repro ingest`")
    table = pq.read_table(index, columns=["class_name", "digest"])
    return sorted({*table["class_name"].to_pylist()}), {*table["digest"].to_pylist()}
