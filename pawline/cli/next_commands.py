"""What `make run` ends with: the figures, where the report is, and what to type next."""

import json
from typing import Any

import pandas as pd

from pawline.figures import figure_rows
from pawline.process import end_with
from pawline.workspace.layout import Layout, local_store

NEXT = """\
The whole run on one page: {report}
Before the commands below, once per terminal:  . .venv/bin/activate

  compare runs     MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --backend-store-uri '{store}'
  try a value      dvc exp run -S prepare.color=rgb && dvc metrics diff
                   and back again: git checkout HEAD params.yaml && dvc repro
  use the model    pawline predict '{picture}' --json
  through Prefect  python -m flows.training
  your pictures    dvc repro, after setting ingest.source in params.yaml to the absolute path of a folder
                   or archive with one folder of pictures per class\
"""


def main() -> None:
    at = Layout()
    stages = ("prepare", "split", "train", "evaluate")
    print(_table({stage: json.loads(at.metrics_of(stage).read_text()) for stage in stages}))
    picture = at.raw / pd.read_csv(at.predictions, nrows=1)["path"][0]
    print(NEXT.format(report=at.report.resolve(), store=local_store(), picture=picture))


def _table(metrics: dict[str, dict[str, Any]]) -> str:
    parts = metrics["split"]["num_images"]
    rows = figure_rows(metrics["evaluate"]) + [
        ("best epoch", f"{metrics['train']['best_epoch']} of {metrics['train']['num_epochs']}"),
        ("pictures", f"{parts['train']} train, {parts['val']} val, {parts['test']} test"),
        ("left out", f"{metrics['prepare']['num_quarantined']} bad (data/quarantine.csv)"),
    ]
    width = max(len(name) for name, _ in rows) + 1
    return "\n" + "".join(f"  {name:<{width}} {value}\n" for name, value in rows)


if __name__ == "__main__":
    end_with(main)
