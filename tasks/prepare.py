"""Decode, turn upright, resize and pack every image; list the bad ones."""

import pandas as pd

from pawline.contact_sheet import contact_sheet
from pawline.files import write_json, write_table
from pawline.params import Params
from pawline.prepare import prepare, summarize
from tasks.layout import Layout
from tasks.stage import run_stage
from tasks.workspace import DECODED, main_checkout


def main(params: Params, at: Layout) -> None:
    index = pd.read_parquet(at.index)
    quarantine = prepare(index, at.raw, at.prepared, params.prepare, cache=main_checkout() / DECODED)
    write_table(at.quarantine, quarantine)
    write_table(at.contact_sheet, contact_sheet(index, quarantine, at.raw))
    write_json(at.metrics_of("prepare"), summarize(index, quarantine))


if __name__ == "__main__":
    run_stage(main)
