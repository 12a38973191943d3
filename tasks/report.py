"""Everything about the run on one page of HTML."""

import json

import pandas as pd

from pawline.files import write_text
from pawline.params.whole import Params
from pawline.prepared import PreparedImages
from pawline.report import MEASURED_STAGES, ReportInputs, render_report
from pawline.workspace.layout import Layout
from tasks.stage import run_stage

# A class called "001" or "null" stays what it is.
NAMES = dict.fromkeys(["path", "actual", "predicted"], str)


def main(params: Params, at: Layout) -> None:
    inputs = ReportInputs(
        index=pd.read_parquet(at.index),
        quarantine=pd.read_csv(at.quarantine, dtype=str, keep_default_na=False),
        contact_sheet=pd.read_parquet(at.contact_sheet),
        split=pd.read_parquet(at.split),
        left_out=pd.read_parquet(at.left_out),
        images=PreparedImages(at.prepared),
        history=pd.read_csv(at.history),
        predictions=pd.read_csv(at.predictions, dtype=NAMES, keep_default_na=False),
        metrics={stage: json.loads(at.metrics_of(stage).read_text()) for stage in MEASURED_STAGES},
    )
    write_text(at.report, render_report(inputs))


if __name__ == "__main__":
    run_stage(main)
