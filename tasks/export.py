"""Export the model to the file that the light engine runs, and log that file to the MLflow run of its training."""

from pawline.card import read_card
from pawline.export import export_model
from pawline.params.whole import Params
from pawline.tracking.training_run import log_export
from pawline.workspace.layout import Layout
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    card = read_card(at.model)
    export_model(at.model, card, at.exported)
    log_export(at.exported, card)


if __name__ == "__main__":
    run_stage(main)
