"""Who knew this picture: what `pawline trace` finds, by content, whatever the picture is called now.

Every version of `dvc.lock` that git knows (commits of all branches, DVC's experiments) names an index, a
split and a model; DVC's cache still holds them, and MLflow the run that trained the model.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from pawline.errors import DatasetError, PawlineError
from pawline.files import read_regular_file
from tasks.dvc_lock import Cache, locked_outputs, read_lock
from tasks.layout import Layout
from tasks.workspace import git


@dataclass(frozen=True)
class Sighting:
    """The picture in one version of the data set. `part` is train, val, test, "left out" (near-duplicate of an
    image in another part), "quarantine: <reason>", or "" where no split is recorded."""

    version: str
    path: str
    class_name: str
    part: str
    model_digest: str
    mlflow_run: str = ""


def trace(picture: Path) -> tuple[str, list[Sighting]]:
    """(SHA-256 of the picture, one sighting per version and path, newest version first)."""
    try:
        digest = hashlib.sha256(read_regular_file(picture)).hexdigest()
    except OSError as error:
        raise DatasetError(f"{picture}: {error.strerror or error}; give a picture file to trace") from None
    cache = Cache()
    seen = [sighting for name, lock in _versions() for sighting in _sightings(name, lock, digest, cache)]
    runs = _runs({sighting.model_digest for sighting in seen} - {""})
    return digest, [Sighting(**{**asdict(one), "mlflow_run": runs.get(one.model_digest, "")}) for one in seen]


def _versions() -> Iterator[tuple[str, str]]:
    """(name, text of dvc.lock): the working tree, then every commit that changed it."""
    here = Path.cwd()
    read_lock()  # its error where nothing has been run yet
    current = Path("dvc.lock").read_text()
    yield "working tree", current
    for line in git(here, "log", "--all", "--format=%h%x09%cs%x09%D", "--", "dvc.lock").splitlines():
        commit, day, *names = line.split("\t")
        text = git(here, "show", f"{commit}:./dvc.lock")
        if text and text != current.strip():
            yield " ".join([commit, day, *names]).strip(), text


def _sightings(version: str, lock: str, digest: str, cache: Cache) -> Iterator[Sighting]:
    try:
        outputs, at = locked_outputs(lock), Layout()
    except PawlineError:  # a commit may hold one in conflict; it tells nothing
        return

    def table(path: Path) -> pd.DataFrame:
        if str(path) not in outputs:
            return pd.DataFrame()
        kept = cache.path(outputs[str(path)].md5)
        if not kept.exists():
            return pd.DataFrame()
        return pd.read_parquet(kept) if path.suffix == ".parquet" else pd.read_csv(kept, dtype=str)

    index = table(at.index)
    if index.empty:
        return
    rows = index[index["digest"] == digest]
    if rows.empty:
        return
    parts = _parts(table(at.split), table(at.left_out), table(at.quarantine))
    card = outputs.get(str(at.card))
    model = ""
    if card and cache.path(card.md5).exists():
        model = json.loads(cache.path(card.md5).read_text())["digest"]
    for row in rows.itertuples():
        yield Sighting(version, row.path, row.class_name, parts.get(row.path, ""), model)


def _parts(split: pd.DataFrame, left_out: pd.DataFrame, quarantine: pd.DataFrame) -> dict[str, str]:
    parts = {row.path: row.split for row in split.itertuples()}
    parts |= {row.path: "left out" for row in left_out.itertuples()}
    return parts | {row.path: f"quarantine: {row.reason}" for row in quarantine.itertuples()}


def _runs(model_digests: set[str]) -> dict[str, str]:
    """The MLflow run that trained each model, as "name (id)"."""
    if not model_digests:
        return {}
    from tasks.tracking import find_run

    found = {digest: find_run(digest) for digest in model_digests}
    return {digest: f"{run.info.run_name} ({run.info.run_id})" for digest, run in found.items() if run}
