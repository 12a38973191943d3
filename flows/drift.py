"""`pawline drift` as a Prefect flow, meant for a schedule: `python -m flows.drift FOLDER`"""

import argparse
import os
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State

from flows.asked_model import asked_model, run_alone
from pawline.drift import NewPictures, TooFewError, Verdict, judge, label_queue
from pawline.drift_lines import HEADER, drift_rows, left_out
from pawline.errors import PawlineError
from pawline.files import write_table
from pawline.label_queue import refuse_foreign
from pawline.new_pictures import ask_files
from pawline.predict import Predictor, find_pictures
from pawline.process import end_with
from pawline.workspace.checkout import WORKSPACE
from pawline.workspace.runner_watch import end_with_worker

KEY = "drift"  # of the artifact: Prefect keeps one version per flow run


@flow(name="drift", persist_result=False)
def drift(folder: str, queue: str = "label_queue.csv", limit: int = 60, model: str = "") -> State[None]:
    """Compare the pictures of a folder with the training data. The state is named Drift where something differs, which
    an automation can wait for, and Same where nothing does; Waiting, where there are too few pictures yet.

    Relative paths are those of the checkout. model: a file or an address of MLflow; empty: the champion."""
    end_with_worker()
    os.chdir(WORKSPACE)  # this process is the flow run's own
    try:
        refuse_foreign(Path(queue))
        with asked_model(model) as file:
            predictor = Predictor(file)
            reference = predictor.reference_or_refuse()
            passed_over: list[Path] = []
            new = NewPictures.of(ask_files(predictor, find_pictures(folder, passed_over)))
    except TooFewError as error:
        return Completed(name="Waiting", message=str(error))
    except PawlineError as error:  # returned, so that Prefect logs no traceback
        return Failed(message=str(error), data=error)
    verdict = judge(reference, new)
    write_table(Path(queue), label_queue(new.table, limit))
    publish(page(folder, verdict, queue, left_out(new, len(passed_over))))
    return Completed(name="Drift" if verdict.is_drift else "Same", message=str(verdict))


def publish(text: str) -> None:
    create_markdown_artifact(text, key=KEY, description="New pictures beside the training data")


def page(folder: str, verdict: Verdict, queue: str, note: str) -> str:
    rows = ["| " + " | ".join(row).replace("\n", " ") + " |" for row in [HEADER, *drift_rows(verdict)]]
    rows.insert(1, "|---" * len(HEADER) + "|")
    return "\n".join([f"`{folder}`: {verdict}", "", *rows, "", f"Worth a label: `{queue}`", "", note])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flows.drift", description=drift.description)
    parser.add_argument("folder", metavar="FOLDER", help="the new pictures")
    parser.add_argument("--queue", default="label_queue.csv", help="pictures worth a label (default: %(default)s)")
    parser.add_argument("--model", default="", help="a model.onnx, or an address such as models:/pawline@champion")
    arguments = parser.parse_args()
    ended = run_alone(drift, **vars(arguments))
    print(f"{ended.name}: {ended.message}")


if __name__ == "__main__":
    end_with(main)
