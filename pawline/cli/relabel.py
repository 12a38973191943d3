"""`pawline relabel`: merge decisions about labels into data/relabel.csv, which `ingest` reads."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.cli.named_file import refuse_no_file
from pawline.errors import DatasetError
from pawline.page.words import plural
from pawline.terminal import shell_word
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
    class_names, digests = _known(at.index)
    refuse_unknown_classes(decisions, class_names, arguments.file)
    old = kept_decisions(at.relabel)
    unmatched = [one for one in decisions if one.digest not in digests]
    if arguments.add_to:
        _add(unmatched, arguments.add_to)
    today = datetime.now(UTC).date().isoformat()
    signed = [replace(one, who=one.who or arguments.who, when=one.when or today) for one in decisions]
    merged = merge(old, signed)
    if merged.num_new or merged.num_changed:
        write_decisions(at.relabel, merged.decisions)
    num_unmatched = len({one.digest for one in unmatched} - {one.digest for one in old})
    print(
        f"{at.relabel}: {plural(merged.num_new, 'new decision')}, {merged.num_changed:,} changed, "
        f"{merged.num_known:,} known before; {num_unmatched:,} without a picture in {at.index}"
    )
    if num_unmatched and not arguments.add_to:
        again = f"pawline relabel {shell_word(str(arguments.file))} --add-to FOLDER"
        print(f"to learn from those pictures too: `{again}`, which copies them into one folder per class there")
    if merged.num_new or merged.num_changed:
        print(f"next: `git add {at.relabel}`, then `dvc repro`")
    return 0


def _add(decisions: "Sequence[Decision]", folder: Path) -> None:
    from pawline.label_queue import add_pictures

    added = add_pictures(decisions, folder)
    by_class = ", ".join(f"{name} {count:,}" for name, count in sorted(added.num_by_class.items()))
    print(
        f"{folder}: {plural(added.num_by_class.total(), 'picture')} added{f' ({by_class})' if by_class else ''}, "
        f"{added.num_known:,} there before; training uses them where this folder is ingest.source or a part of it"
    )


def _known(index: Path) -> tuple[list[str], set[str]]:
    """The class names and the digests of the data."""
    import pyarrow.parquet as pq

    if not index.exists():
        raise DatasetError(f"{index}: not there, so the classes are not known; make it with `dvc repro ingest`")
    table = pq.read_table(index, columns=["class_name", "digest"])
    return sorted({*table["class_name"].to_pylist()}), {*table["digest"].to_pylist()}
