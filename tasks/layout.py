"""Where the files of the pipeline are, relative to the workspace; `dvc.yaml` says which stage writes which."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    params: Path = Path("params.yaml")
    raw: Path = Path("data/raw")
    index: Path = Path("data/index.parquet")
    prepared: Path = Path("data/prepared")
    quarantine: Path = Path("data/quarantine.csv")
    contact_sheet: Path = Path("data/contact_sheet.parquet")
    split: Path = Path("data/split.parquet")
    left_out: Path = Path("data/left_out.parquet")
    model: Path = Path("models/model.keras")
    card: Path = Path("models/card.json")
    history: Path = Path("reports/history.csv")
    predictions: Path = Path("reports/predictions.csv")
    roc: Path = Path("reports/roc.csv")
    report: Path = Path("reports/report.html")
    metrics: Path = Path("metrics")

    def metrics_of(self, stage: str) -> Path:
        return self.metrics / f"{stage}.json"
