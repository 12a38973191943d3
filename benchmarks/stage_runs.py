"""How many stage runs each rule for a stage's dependencies would have caused, replayed over this repository's history.

    python -m benchmarks.stage_runs

For every commit up to `BEFORE` that edits `pawline/` or `tasks/`, and for every stage: would it run again? The rule of
that time listed every module that a stage executed; the rule of today lists what can change its outputs (dvc.yaml).
Today's rooms are translated to that time's file names. Of `params.py`, which is a module per section today, the
sections that a commit changed count; a change outside of them counts for all. Needs the whole git history.
"""

import ast
import subprocess
from pathlib import Path

from pawline.workspace.dag import code_files, dag_of
from pawline.yaml_files import parse_yaml
from tests.source import ROOT

BEFORE = "555cf45"

# Today's module -> that time's, where the names differ. A module that was cut into several stands several times.
MOVED = {
    "pawline/cross_entropy.py": "pawline/loss.py",
    "pawline/model/backend.py": "pawline/backend.py",
    "pawline/model/machine.py": "pawline/machine.py",
    "pawline/model/saved.py": "pawline/model.py",
    "pawline/page/charts.py": "pawline/report.py",
    "pawline/page/report.html": "pawline/report.html",
    "pawline/parts.py": "pawline/shards.py",
    "pawline/pictures/cache.py": "pawline/decoded.py",
    "pawline/pictures/contact_sheet.py": "pawline/contact_sheet.py",
    "pawline/pictures/decode.py": "pawline/images.py",
    "pawline/pictures/duplicates.py": "pawline/duplicates.py",
    "pawline/prepared.py": "pawline/shards.py",
    "pawline/sources/archive_rules.py": "pawline/archives.py",
    "pawline/sources/opening.py": "pawline/sources.py",
    "pawline/sources/tables.py": "pawline/labelled.py",
    "pawline/training/pretrained_weights.py": "pawline/weights.py",
}
PARAMS = "pawline/params.py"
# That time's records, by today's module in pawline/params/.
RECORDS = {
    "ingest": {"IngestParams"},
    "prepare": {"ImageForm", "PrepareParams"},
    "split": {"SplitParams"},
    "network": {
        "Pair",
        "ClassicParams",
        "FastParams",
        "PretrainedParams",
        "NetworkParams",
        "LEAST_PRETRAINED_SIZE",
    },
    "train": {"TrainParams"},
}
WHOLE = {"Params", "load_params"}  # of the shell today


def main() -> None:
    commits = git("log", "--format=%H", BEFORE, "--", "pawline", "tasks").split()
    edits = [edited(commit) for commit in commits]
    old = {
        stage: {dep if isinstance(dep, str) else next(iter(dep)) for dep in entry["deps"]}
        for stage, entry in parse_yaml(git("show", f"{BEFORE}:dvc.yaml"))["stages"].items()
    }
    stages = dag_of(ROOT)
    new = {name: {then(file) for file in code_files(stage, ROOT)} for name, stage in stages.items()}
    print(f"{len(commits)} commits edit pawline/ or tasks/; stage runs that they cause, of them train:")
    for rule, deps in (("every module that a stage executes", old), ("what can change its outputs", new)):
        runs = {stage: sum(not files.isdisjoint(deps[stage]) for files in edits) for stage in deps}
        print(f"{rule:<36} {sum(runs.values()):>4} {runs['train']:>4}   {runs}")


def then(file: str) -> str:
    """The name that a module of today had at that time."""
    if file.startswith("pawline/params/"):
        return f"{PARAMS}:{Path(file).stem}"
    if file in MOVED:
        return MOVED[file]
    if file.startswith("pawline/drawn/"):
        return "pawline/generated.py"
    for room in ("sources", "training"):
        file = file.replace(f"pawline/{room}/", "pawline/")
    return file


def edited(commit: str) -> set[str]:
    """The files that a commit edits, and of params.py the sections."""
    files = set(git("show", "--format=", "--name-only", commit).splitlines())
    if PARAMS in files:
        files |= {f"{PARAMS}:{section}" for section in sections_changed(commit)}
    return files


def sections_changed(commit: str) -> set[str]:
    before, after = (definitions(git("show", f"{at}:{PARAMS}")) for at in (f"{commit}^", commit))
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} - WHOLE
    sections = {section for section, records in RECORDS.items() if records & changed}
    return sections | ({"record"} if changed - set().union(*RECORDS.values()) else set())


def definitions(source: str) -> dict[str, str]:
    """The source of each class, function and constant of a module; the imports do not count."""
    named = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            named[node.name] = ast.unparse(node)
        elif isinstance(node, ast.Assign):
            named[ast.unparse(node.targets[0])] = ast.unparse(node)
    return named


def git(*arguments: str) -> str:
    child = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return child.stdout if child.returncode == 0 else ""  # the first commit has no parent


if __name__ == "__main__":
    main()
