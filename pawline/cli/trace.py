"""`pawline trace`: who knew this picture, found by content, whatever it is called now.

Every version of `dvc.lock` that git knows (commits of all branches, DVC's experiments) names an index, a
split and a model; DVC's cache still holds them, and MLflow the run that trained the model.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.cli.named_file import refuse_no_file
from pawline.errors import DatasetError, PawlineError
from pawline.files import read_regular_file
from pawline.terminal import printable
from pawline.workspace.checkout import ask_git
from pawline.workspace.layout import Layout
from pawline.workspace.lock import LOCK, Cache, Output, locked_outputs, parse_lock, read_lock

if TYPE_CHECKING:
    import pandas as pd

    from pawline.relabel import Decision

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sighting:
    """The picture in one version of the data set. `part` is train, val, test, "left out" (near-duplicate of an
    image in another part), "quarantine: <reason>", or "" where no split of this picture is recorded.

    `model_digest`: of the model that was trained on this very split; "" where there is none, and "unknown" where the
    version's model was trained on other data, or DVC's cache does not hold what would show it."""

    version: str
    path: str
    class_name: str
    part: str
    model_digest: str
    mlflow_run: str = ""

    def __str__(self) -> str:
        model = f"model {self.model_digest[:12]}" if self.model_digest else "no model"
        if self.model_digest == UNKNOWN:
            model = "model unknown (its training data is not this split)"
        run = f", MLflow run {self.mlflow_run}" if self.mlflow_run else ""
        path, class_name = printable(self.path), printable(self.class_name)
        return f"{printable(self.version)}: {path} ({class_name}), {self.part or 'not split'}, {model}{run}"


def add_command(commands: Any) -> None:
    command = commands.add_parser("trace", help="which data sets, splits, models and MLflow runs knew a picture")
    command.add_argument("picture", type=Path, metavar="IMAGE")
    command.add_argument("--json", action="store_true", help="one object: digest, decision, sightings")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, or 1 when no version knew the picture."""
    from pawline.relabel import kept_decisions

    digest, sightings = trace(arguments.picture)
    decision = next((one for one in kept_decisions(Layout().relabel) if one.digest == digest), None)
    if arguments.json:
        found = {
            "digest": digest,
            "decision": asdict(decision) if decision else None,
            "sightings": [asdict(sighting) for sighting in sightings],
        }
        print(json.dumps(found, indent=2))
        return 0 if sightings else 1
    print(f"SHA-256 {digest}")
    if decision:
        print(_decided(decision))
    for sighting in sightings:
        print(sighting)
    if not sightings:
        print("no version of the data set knew this picture")
    return 0 if sightings else 1


def _decided(one: "Decision") -> str:
    """What a person decided about the picture, whether `ingest` has read that yet or not."""
    from pawline.relabel import NO_CLASS

    effect = "which leaves it out" if one.label == NO_CLASS else "its class from then on"
    signed = ", ".join(word for word in (one.who, one.when) if word)
    return printable(f"{Layout().relabel}: decided as {one.label}, {effect}{signed and f' ({signed})'}")


def trace(picture: Path) -> tuple[str, list[Sighting]]:
    """(SHA-256 of the picture, one sighting per version and path, newest version first)."""
    refuse_no_file(picture, "give a picture file to trace")
    try:
        digest = hashlib.sha256(read_regular_file(picture)).hexdigest()
    except OSError as error:
        raise DatasetError(f"{picture}: {error.strerror or error}; give a picture file to trace") from None
    cache = Cache()
    seen = [sighting for name, lock in _versions() for sighting in _sightings(name, lock, digest, cache)]
    runs = _runs({sighting.model_digest for sighting in seen} - {"", UNKNOWN})
    return digest, [replace(sighting, mlflow_run=runs.get(sighting.model_digest, "")) for sighting in seen]


def _versions() -> Iterator[tuple[str, str]]:
    """(name, text of dvc.lock): the working tree, then every commit that changed it."""
    here = Path.cwd()
    read_lock()  # its error where nothing has been run yet
    current = LOCK.read_text()
    yield "working tree", current
    for line in ask_git(here, "log", "--all", "--format=%h%x09%cs%x09%D", "--", str(LOCK)).splitlines():
        commit, day, *names = line.split("\t")
        text = ask_git(here, "show", f"{commit}:./{LOCK}")
        if text and text != current.strip():
            yield " ".join([commit, day, *names]).strip(), text


def _sightings(version: str, lock: str, digest: str, cache: Cache) -> Iterator[Sighting]:
    try:
        outputs, at = locked_outputs(lock), Layout()
    except PawlineError:  # a commit may hold one in conflict, which says nothing
        return

    index = _kept_table(outputs, cache, at.index)
    if index.empty:
        return
    rows = index[index["digest"] == digest]
    if rows.empty:
        return
    split = _kept_table(outputs, cache, at.split)
    parts = _parts(split, _kept_table(outputs, cache, at.left_out), digest)
    if (entries := parse_lock(lock)) and _read_as_it_is(entries, "prepare", at.index, outputs):
        parts |= _reasons(_kept_table(outputs, cache, at.quarantine))
    model = _model_of(split, outputs, cache, at)
    for path, class_name in zip(rows["path"], rows["class_name"], strict=True):
        # A picture that this split does not know came after it, and after its model.
        known = model if path in parts or not model else UNKNOWN
        yield Sighting(version, path, class_name, parts.get(path, ""), known)


def _model_of(split: "pd.DataFrame", outputs: dict[str, Output], cache: Cache, at: Layout) -> str:
    """The digest of the version's model, if it learned from this split: after an unfinished run it may be older."""
    from pawline.parts import data_digest

    card = outputs.get(str(at.card))
    if card is None:
        return ""
    if split.empty or not cache.path(card.md5).exists():
        return UNKNOWN
    described = json.loads(cache.path(card.md5).read_text())
    same = described.get("training_data_digest") == data_digest(split)
    return str(described["digest"]) if same else UNKNOWN


def _read_as_it_is(entries: dict[str, Any], stage: str, path: Path, outputs: dict[str, Output]) -> bool:
    """Whether a stage read the very file that this version has."""
    deps = entries.get(stage, {}).get("deps", [])
    return any(dep.get("path") == str(path) and dep.get("md5") == outputs[str(path)].md5 for dep in deps)


def _kept_table(outputs: dict[str, Output], cache: Cache, path: Path) -> "pd.DataFrame":
    """A table of that version; empty where DVC's cache does not hold it."""
    import pandas as pd

    kept = cache.path(outputs[str(path)].md5) if str(path) in outputs else None
    if kept is None or not kept.exists():
        return pd.DataFrame()
    return pd.read_parquet(kept) if path.suffix == ".parquet" else pd.read_csv(kept, dtype=str)


def _parts(split: "pd.DataFrame", left_out: "pd.DataFrame", digest: str) -> dict[str, str]:
    """The part of each path whose content the split knows as this picture's, not merely its name."""
    parts = {str(row.path): str(row.split) for row in split.itertuples() if row.digest == digest}
    return parts | {str(row.path): "left out" for row in left_out.itertuples() if row.digest == digest}


def _reasons(quarantine: "pd.DataFrame") -> dict[str, str]:
    return {str(row.path): f"quarantine: {row.reason}" for row in quarantine.itertuples()}


def _runs(model_digests: set[str]) -> dict[str, str]:
    """The MLflow run that trained each model, as "name (id)"."""
    if not model_digests:
        return {}
    from pawline.tracking.store import find_run

    runs = {digest: find_run(digest) for digest in model_digests}
    return {digest: f"{run.info.run_name} ({run.info.run_id})" for digest, run in runs.items() if run}
