"""Decode, turn upright, resize and pack every image; list the bad ones."""

from pathlib import Path

import pandas as pd

from pawline.files import write_json, write_table
from pawline.params.whole import Params
from pawline.pictures.contact_sheet import contact_sheet
from pawline.prepare import prepare, summarize
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import Layout, LocalState
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    index, local = pd.read_parquet(at.index), LocalState(main_checkout())
    quarantine = prepare(index, at.raw, at.prepared, params.prepare, local.decoded, local.refused_list(Path()))
    write_table(at.quarantine, quarantine)
    write_table(at.contact_sheet, contact_sheet(index, quarantine, at.raw))
    write_json(at.metrics_of("prepare"), summarize(index, quarantine))


if __name__ == "__main__":
    run_stage(main)
