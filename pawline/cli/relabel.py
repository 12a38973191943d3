"""`pawline relabel`: merge decisions about labels into data/relabel.csv, which `ingest` reads."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pawline.cli.named_file import refuse_missing
from pawline.errors import DatasetError
from pawline.workspace.layout import Layout


def add_command(commands: Any) -> None:
    command = commands.add_parser("relabel", help="merge decisions about labels into data/relabel.csv")
    command.add_argument(
        "file", metavar="FILE", type=Path, help="CSV: digest,path,label,who,when, from the page of suspects"
    )
    command.add_argument("--who", default="", help="who decided, where the file does not say it")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the whole file, then merge it. Raises DatasetError, and then nothing was written."""
    from pawline.relabel import kept_decisions, merge, read_decisions, refuse_unknown_classes, write_decisions

    at = Layout()
    refuse_missing(arguments.file, "give the file that the page of `pawline suspects` made")
    decisions = read_decisions(arguments.file)
    class_names, digests = _known(at.index)
    refuse_unknown_classes(decisions, class_names, arguments.file)
    old = kept_decisions(at.relabel)
    today = datetime.now(UTC).date().isoformat()
    signed = [replace(one, who=one.who or arguments.who, when=one.when or today) for one in decisions]
    merged = merge(old, signed)
    if merged.num_new or merged.num_changed:
        write_decisions(at.relabel, merged.decisions)
    num_unmatched = len({one.digest for one in decisions} - digests - {one.digest for one in old})
    print(
        f"{at.relabel}: {merged.num_new} new decisions, {merged.num_changed} changed, {merged.num_known} known before; "
        f"{num_unmatched} match no picture of {at.index}"
    )
    if merged.num_new or merged.num_changed:
        print(f"next: `git add {at.relabel}`, then `dvc repro`")
    return 0


def _known(index: Path) -> tuple[list[str], set[str]]:
    """The class names and the digests of the data."""
    import pyarrow.parquet as pq

    if not index.exists():
        raise DatasetError(f"{index}: not there, so the classes are not known; make it with `dvc repro ingest`")
    table = pq.read_table(index, columns=["class_name", "digest"])
    return sorted({*table["class_name"].to_pylist()}), {*table["digest"].to_pylist()}
