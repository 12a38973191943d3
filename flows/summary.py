"""What a flow run leaves to read in Prefect: one page on its stages, its figures and where the rest is."""

import json
from pathlib import Path
from typing import NamedTuple

from prefect import runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import State

from pawline.errors import PawlineError
from pawline.figures import figure_rows
from pawline.workspace.checkout import WORKSPACE
from pawline.workspace.history import duration
from pawline.workspace.layout import Layout
from pawline.workspace.why import explain

KEY = "training"  # of the artifact: Prefect keeps one version per flow run


class Outcome(NamedTuple):
    stage: str
    state: State
    seconds: float


def publish(workspace: Path, outcomes: list[Outcome]) -> None:
    create_markdown_artifact(page(workspace, outcomes), key=KEY, description="The stages of this flow run")


def page(workspace: Path, outcomes: list[Outcome]) -> str:
    return "\n".join(
        [*_stages(workspace, outcomes), "", *_figures(workspace, outcomes), "", *_places(workspace, outcomes)]
    )


def _stages(workspace: Path, outcomes: list[Outcome]) -> list[str]:
    explained = explain({}, workspace)  # as after a successful run: which one made the outputs
    rows = ["| stage | state | reason | seconds | saved |", "|---|---|---|---|---|"]
    for stage, state, seconds in outcomes:
        saved = explained[stage].saved_seconds if state.name == "Cached" and stage in explained else None
        reason = (state.message or "").replace("|", "/") if state.is_final() else "a stage before it failed"
        rows.append(f"| {stage} | {state.name} | {reason} | {seconds:.1f} | {duration(saved) if saved else ''} |")
    return rows


def _figures(workspace: Path, outcomes: list[Outcome]) -> list[str]:
    """None where the evaluation did not get its turn: the file is then of an earlier model."""
    file = workspace / Layout().metrics_of("evaluate")
    evaluated = any(stage == "evaluate" and state.is_completed() for stage, state, _ in outcomes)
    if not (evaluated and file.exists()):
        return []
    rows = [f"| {name} | {value} |" for name, value in figure_rows(json.loads(file.read_text()))]
    return ["| test part | |", "|---|---|", *rows]


def _places(workspace: Path, outcomes: list[Outcome]) -> list[str]:
    report = workspace / Layout().report
    lines = [f"Report: `{report}`"] if report.exists() else []
    if lines and not all(state.is_completed() for _, state, _ in outcomes):
        lines = [f"Report: `{report}`, of an earlier run"]
    if workspace != WORKSPACE:  # it goes with the flow run
        lines = [f"Report: `dvc exp apply {runtime.flow_run.name}`, then `{WORKSPACE / Layout().report}`"]
    if any(stage in ("train", "evaluate") and state.name == "Completed" for stage, state, _ in outcomes):
        lines += _mlflow(workspace)
    return lines


def _mlflow(workspace: Path) -> list[str]:
    """Only after a training or evaluation: importing MLflow takes longer than finding that nothing changed."""
    from pawline.tracking.store import run_link

    try:
        link = run_link(json.loads((workspace / Layout().card).read_text())["digest"])
    except PawlineError as error:  # a server that is gone takes nothing from what was done
        return [f"MLflow run: {error}"]
    return [f"MLflow run: {link}"] if link else []
