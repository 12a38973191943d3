"""The places of files: those of the pipeline, and the local state that git and DVC do not see."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pawline.workspace.checkout import main_checkout

# A relative source may lead out of the checkout by as many `..`: links to it stand in these, not at home.
ISOLATED_NEST = Path("1/2/3/4/5/checkout")
SQLITE = "sqlite:///"
SERIES_PREDICTIONS = "predictions.parquet"  # of a complete series of trainings, in the folder of its data


@dataclass(frozen=True)
class Layout:
    """The files of the pipeline, relative to the workspace; `dvc.yaml` says which stage writes which. People write
    `params` and `relabel`."""

    params: Path = Path("params.yaml")
    relabel: Path = Path("data/relabel.csv")
    raw: Path = Path("data/ingested")
    index: Path = Path("data/index.parquet")
    prepared: Path = Path("data/prepared")
    quarantine: Path = Path("data/quarantine.csv")
    contact_sheet: Path = Path("data/contact_sheet.parquet")
    split: Path = Path("data/split.parquet")
    left_out: Path = Path("data/left_out.parquet")
    model: Path = Path("models/model.keras")
    card: Path = Path("models/card.json")
    epochs: Path = Path("models/epochs.npz")
    exported: Path = Path("models/model.onnx")
    export_card: Path = Path("models/export.json")
    keras_answers: Path = Path("models/keras_answers.parquet")
    history: Path = Path("reports/history.csv")
    predictions: Path = Path("reports/predictions.csv")
    roc: Path = Path("reports/roc.csv")
    calibration: Path = Path("reports/calibration.csv")
    thresholds: Path = Path("reports/thresholds.csv")
    activations: Path = Path("reports/activations.parquet")
    report: Path = Path("reports/report.html")
    report_data: Path = Path("reports/report.json")
    metrics: Path = Path("metrics")

    def metrics_of(self, stage: str) -> Path:
        return self.metrics / f"{stage}.json"


class LocalState:
    """What stays on this machine: below `.pawline/` of the main checkout, shared by its worktrees and experiments.

    Deleting any of it costs time or knowledge of the past, never a result.
    """

    def __init__(self, checkout: Path) -> None:
        folder = checkout / ".pawline"
        self.decoded = folder / "decoded"  # decoded images, by content
        self._folder = folder
        self.downloads = folder / "downloads"  # what is fetched from an address, until it is taken in
        self.weights = folder / "weights"  # of pretrained networks, converted, by digest
        self.features = folder / "features"  # of pictures, by a frozen network, a folder per network
        self.checkpoints = folder / "training"  # the state of a training under way
        self.folds = folder / "folds"  # predictions by models that did not train on the picture, by data digest
        self.curves = folder / "tensorboard"  # a folder per training
        self.learning_curve = folder / "learning_curve"  # by data digest
        self.walks = folder / "walks"  # networks in neutral form for `pawline explain`, a folder per model
        self.history = folder / "history.jsonl"  # which stage ran when, for how long and started by whom
        self.flow_runs = folder / "flow_runs"  # the process of each flow run under way
        self.isolated_runs = folder / "runs"  # workspaces of flow runs with other params
        self.partial_store = folder / "mlflow.partial"  # MLflow's tables while they are made
        self.missed = folder / "mlflow_missed"  # what a tracking server missed, a folder per run, until it is sent
        self.registered = folder / "registered"  # what `pawline register` answered, a file per model and test part
        self.champion = folder / "champion"  # a link to the files of the champion, which `pawline serve` follows
        self.champions = folder / "champions"  # a folder for each of the last ones
        self.registry_lock = folder / "registry.lock"
        self.store = checkout / "mlflow.db"
        self.store_lock = checkout / ".mlflow.lock"
        self.artifacts = checkout / "mlartifacts"

    def fold_predictions(self, data_digest: str) -> Path:
        """What `pawline folds` found on this data, once it is complete; see workspace/kept_series.py."""
        return self.folds / data_digest / SERIES_PREDICTIONS

    def refused_list(self, workspace: Path) -> Path:
        """The bad files of the last stage of a workspace that failed for them. Experiments and worktrees that fail at
        the same time have a file each, which outlives their folder."""
        workspace = workspace.resolve()
        if workspace == self._folder.parent.resolve():
            return self._folder / "quarantine.csv"
        return self._folder / f"quarantine-{hashlib.sha256(os.fsencode(workspace)).hexdigest()[:8]}.csv"


def local_store() -> str:
    """MLflow's store when the user names none: one SQLite file, absolute, so that every folder finds it."""
    return f"sqlite:///{LocalState(main_checkout()).store}"


def store_address() -> str:
    """The address of the MLflow store: the user's, else the local one. A relative file is one of the main checkout, so
    that it is the same in each workspace, and none goes with a workspace that is removed."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or local_store()
    file = address.removeprefix(SQLITE)
    if file == address or not file or file.startswith(("/", ":memory:", "file:")):
        return address
    return f"{SQLITE}{main_checkout() / file}"
