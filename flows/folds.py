"""`pawline folds` as a Prefect flow: a task per fold, *Cached* where it is finished. `python -m flows.folds 5`"""

import argparse
import os
from typing import Any

import pandas as pd
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from flows.asked_model import run_alone
from pawline.errors import PawlineError
from pawline.folds import FoldPlan, join_folds, measure_folds
from pawline.params.whole import load_params
from pawline.process import end_with
from pawline.series import Series
from pawline.workspace.checkout import WORKSPACE
from pawline.workspace.history import duration
from pawline.workspace.kept_series import KeptSeries, keep_series, read_data
from pawline.workspace.layout import Layout
from pawline.workspace.runner_watch import end_with_worker


@flow(name="folds", persist_result=False)
def folds(count: int = 5) -> State[None]:
    """Judge every picture by a model that did not train on it: `count` trainings with the params of the checkout."""
    end_with_worker()
    os.chdir(WORKSPACE)  # this process is the flow run's own
    try:
        params = load_params()
        images, split = read_data(Layout())
        plan = FoldPlan.of(split, count, images.class_names, params.split, params.train)
        with keep_series("folds", params, images, split, count) as kept:
            figures = kept.result() or _all_folds(kept, plan)
            from pawline.tracking.series_run import log_series

            log_series("folds", kept.key, params, split, figures, [kept.predictions, kept.figures])
    except PawlineError as error:  # returned, so that Prefect logs no traceback
        return Failed(message=str(error), data=error)
    interval = f"{figures['accuracy_low']:.3f} to {figures['accuracy_high']:.3f}"
    return Completed(message=f"accuracy {figures['accuracy']:.3f} (95 % interval of the recipe {interval})")


def _all_folds(kept: KeptSeries, plan: FoldPlan) -> dict[str, Any]:
    seconds: list[float] = []
    tables: list[pd.DataFrame] = []
    for done, name in enumerate(plan.names, start=1):
        named = fold.with_options(name=name, task_run_name=name)
        state: Any = named(kept.series, plan, name, return_state=True)
        if state.is_failed():
            raise state.data if isinstance(state.data, PawlineError) else PawlineError(f"{name}: {state.message}")
        table = kept.series.finished(name)
        assert table is not None
        tables.append(table)
        seconds.append(float(table["seconds"].iloc[0]))
        left = (plan.count - done) * sum(seconds) / len(seconds)
        get_run_logger().info("%s of %s folds; about %s left", done, plan.count, duration(left))
    predictions = join_folds(tables)
    return kept.finish(predictions, measure_folds(predictions, plan.split))


@task(cache_policy=NO_CACHE, persist_result=False)
def fold(series: Series, plan: FoldPlan, name: str) -> State[None]:
    if series.finished(name) is not None:
        return Completed(name="Cached", message="finished before")
    try:
        series.run(plan.training(name, series))
    except PawlineError as error:
        return Failed(message=str(error), data=error)
    return Completed(message="trained")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flows.folds", description=folds.description)
    parser.add_argument("count", type=int, nargs="?", default=5, metavar="N", help="number of folds")
    print(run_alone(folds, count=parser.parse_args().count).message)


if __name__ == "__main__":
    end_with(main)
