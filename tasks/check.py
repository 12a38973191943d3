"""Compare the figures of the test part with the section `check`, and every way to ask the model with Keras.

Metrics and report stand when it fails."""

import json

import pandas as pd

from pawline.card import parse_card
from pawline.check import find_conditions, refuse_failed, summarize
from pawline.files import write_json
from pawline.judging.predictions import read_predictions
from pawline.params.whole import Params
from pawline.parity import answers_of_table, answers_over_http, asked_pictures, compare
from pawline.parity import summarize as summarize_parity
from pawline.predict import Predictor
from pawline.tracking.logged_model import answers_of_logged
from pawline.workspace.layout import Layout
from pawline.workspace.own_service import own_service
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    conditions = find_conditions(json.loads(at.metrics_of("evaluate").read_text(encoding="utf-8")), params.check)
    answers, predictions, card = (
        pd.read_parquet(at.keras_answers),
        read_predictions(at.predictions),
        parse_card(at.card),
    )
    predicted = Predictor(at.exported).predict_files
    with asked_pictures(answers, at.raw, card.class_names) as asked, own_service(at.exported) as address:
        ways = [
            compare("evaluate", asked.test, answers_of_table(predictions, asked.test)),
            compare("pawline predict", asked, (answer for _, answer in predicted(asked.files))),
            compare("pawline serve", asked, answers_over_http(address, asked)),
            compare("the model in MLflow", asked, answers_of_logged(at.exported, card, asked.files)),
        ]
    parity = summarize_parity(asked, len(predictions), ways)
    write_json(at.metrics_of("check"), summarize(conditions, ways, parity))
    refuse_failed(conditions, ways)


if __name__ == "__main__":
    run_stage(main)
