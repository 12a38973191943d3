"""Ask the model about all pictures of a source, new ones only: `python -m flows.predict SOURCE ANSWERS.parquet`"""

import argparse
import os
from pathlib import Path

from prefect import flow
from prefect.states import Completed, Failed, State

from flows.asked_model import asked_model, run_alone
from pawline.batch import predict_source
from pawline.errors import BusyError, PawlineError
from pawline.predict import Predictor
from pawline.process import end_with
from pawline.workspace.checkout import WORKSPACE, main_checkout
from pawline.workspace.layout import LocalState
from pawline.workspace.runner_watch import end_with_worker


@flow(name="predict", persist_result=False)
def predict(source: str, answers: str = "answers.parquet", model: str = "") -> State[None]:
    """Write one row per picture of a folder, archive, bucket or address into a Parquet file; see docs/serving.md.

    Relative paths are those of the checkout. model: a file or an address of MLflow; empty: the champion."""
    end_with_worker()
    os.chdir(WORKSPACE)  # this process is the flow run's own
    downloads = LocalState(main_checkout(WORKSPACE)).downloads
    try:
        with asked_model(model) as file:
            predictor = Predictor(file)
            result = predict_source(predictor, source, Path(answers), downloads)
    except BusyError as error:
        return Completed(name="Waiting", message=str(error))
    except PawlineError as error:  # returned, so that Prefect logs no traceback
        return Failed(message=str(error), data=error)
    name = "Completed" if result.num_asked else "Cached"
    return Completed(name=name, message=f"{answers}: {result}; model {predictor.card.model_digest[:12]}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flows.predict", description=predict.description)
    parser.add_argument("source", metavar="SOURCE", help="a folder, an archive, an address of a bucket or a file")
    parser.add_argument("answers", nargs="?", default="answers.parquet", help="the file (default: %(default)s)")
    parser.add_argument("--model", default="", help="a model.onnx, or an address such as models:/pawline@champion")
    arguments = parser.parse_args()
    ended = run_alone(predict, **vars(arguments))
    print(f"{ended.name}: {ended.message}")


if __name__ == "__main__":
    end_with(main)
