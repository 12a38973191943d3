"""`pawline register`, `promote` and `rollback`: which of the registered models is the champion.

The champion is asked again about today's test pictures, from their bytes and through its own decoder, as the challenger
is. Neither is judged by a picture that one of them learned from. pawline/judging/gate.py decides.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from pawline.card import Card, card_path, parse_card, read_card
from pawline.errors import BusyError, DatasetError, ModelError, ParamsError
from pawline.files import read_regular_file
from pawline.judging.gate import CANNOT_TELL, PROMOTE, Evidence, Verdict, first_version, judge, too_few
from pawline.linked_groups import group_keys
from pawline.params.promotion import PromotionParams
from pawline.params.whole import load_params
from pawline.parts import data_digest, digests_learned
from pawline.runtime.export_card import read_export_card
from pawline.terminal import say
from pawline.tracking.logged_model import conditions_of_card, log_model, name_model
from pawline.tracking.missed import send_missed
from pawline.tracking.registry import EXPERIMENT_VERSION, NAME, Judgement, Line, Registry, may_move
from pawline.tracking.store import (
    EXPERIMENT,
    MODEL_DIGEST,
    busy_unless_it_answers,
    downloaded_model,
    use_store,
)
from pawline.tracking.training_run import DVC_EXPERIMENT, run_origin
from pawline.workspace.checkout import is_experiment
from pawline.workspace.laid_models import champion_files
from pawline.workspace.layout import Layout
from pawline.workspace.registered import KEPT, PROMOTED, Answer, keep_answer

EXPERIMENT_TAG = DVC_EXPERIMENT  # of the run whose training made the model
EVALUATED = "evaluate"  # the folder of an MLflow run in which `evaluate` puts its files
NUM_TIMED = 20  # pictures that are asked for one by one
DIGEST_DIGITS = 16
ATTEMPTS = 3  # the champion may change while a challenger is judged


# ---------------------------------------------------------------- the commands


def register() -> Answer:
    """Register the model of this checkout, judge it, and let it be the champion where the gate says so.

    Raises BusyError where MLflow does not answer; DatasetError and ModelError for outputs that are missing, damaged or
    of different runs."""
    at = Layout()
    challenger, today = _workspace_model(at), TodaysTest.read(at)
    params, check = load_params(at.params).promotion, _check_of_workspace(at)
    use_store()
    send_missed(challenger.card.digest)
    registry = Registry()
    version = _registered(registry, challenger)
    answer, _ = _challenge(
        registry, Challenge(version, today, params, check, may_move=True), lambda: nullcontext(challenger)
    )
    _lay_champion(registry)
    keep_answer(answer)  # only now: a known answer means that the files lie there
    return answer


def promote(number: int | None, anyway: bool = False) -> tuple[bool, str]:
    """(whether the version is the champion now, one line). number: None for the version with the alias `challenger`.

    anyway: whatever the gate says. Raises ParamsError where there is no such version."""
    use_store()
    registry = Registry()
    answer = _promote(registry, number, anyway)
    _lay_champion(registry)
    return answer


def rollback() -> tuple[bool, str]:
    """(whether there was a champion before, one line). The version that was champion is never promoted by itself."""
    use_store()
    registry = Registry()
    answer = _roll_back(registry)
    _lay_champion(registry)
    return answer


def _promote(registry: Registry, number: int | None, anyway: bool) -> tuple[bool, str]:
    with registry.locked():
        version, line = _named(registry, number), registry.line()
        number = int(version.version)
        if line.champion == number:
            return True, f"version {number} is the champion already"
        if anyway:
            return True, _moved(registry, line, number, "promoted by hand, whatever the gate says")
        before = registry.judgement(number)
    at = Layout()
    one = Challenge(
        version,
        TodaysTest.read(at),
        load_params(at.params).promotion,
        before.check if before else None,
        may_move=False,
    )
    answer, judgement = _challenge(registry, one, lambda: _downloaded(version))
    with registry.locked():
        line = registry.line()
        if judgement and judgement.decision == PROMOTE and judgement.champion == line.champion != number:
            return True, _moved(registry, line, number, judgement.words)
    return False, f"{answer}; `pawline promote {number} --anyway` makes it the champion all the same"


def _roll_back(registry: Registry) -> tuple[bool, str]:
    with registry.locked() as unfinished:
        line = registry.line()
        if unfinished:
            done = f"version {line.champion} is the champion again, instead of version {unfinished}"
            return True, f"{done}: an interrupted rollback is finished"
        if not line.champion:
            return False, "there is no champion; `pawline register` makes one of the model of this checkout"
        if len(line.versions) == 1:
            return False, f"there was no champion before version {line.champion}; it stays"
        back = line.back()
        registry.note(line.champion, f"rolled back to version {back.champion}")
        registry.move(back)
    return True, f"version {back.champion} is the champion again, instead of version {line.champion}"


def _named(registry: Registry, number: int | None) -> ModelVersion:
    wanted = registry.challenger() if number is None else number
    there = "`pawline register` makes one of the model of this checkout"
    if not wanted and (newest := registry.newest()):
        raise ParamsError(
            "no version has the alias challenger, which one made by an experiment does not get; name a version: "
            f"`pawline promote VERSION`, the newest is {newest}"
        )
    if not wanted:
        raise ParamsError(f"no version is registered; {there}")
    if found := registry.version(wanted):
        return found
    raise ParamsError(
        f"the registered model {NAME} has no version {wanted}; {there}, and MLflow's page lists them"
    )


def _moved(registry: Registry, line: Line, number: int, words: str) -> str:
    registry.note(number, words)
    registry.move(line.promoted(number))
    before = f", instead of version {line.champion}" if line.champion else ""
    return f"version {number} is the champion now{before}: {words}"


def _lay_champion(registry: Registry) -> None:
    """Lay the champion's files for `pawline serve`. If that fails, the alias stands; the next command tries again."""
    laid, name = champion_files(), "the champion"
    try:
        with (
            laid.held()
        ):  # the champion is looked up inside: of two commands, the later one lays the later champion
            with registry.locked():
                champion = registry.version(registry.line().champion)
            if champion:
                name, digest = f"version {champion.version}", champion.tags.get(MODEL_DIGEST, "")
                laid.lay(f"{champion.version}-{digest[:12]}", lambda: _files_of(champion))
    except (ModelError, BusyError, OSError) as error:
        say(f"warning: {name} is not handed to `pawline serve`, which the next command tries again: {error}")


# ---------------------------------------------------------------- what is compared


@dataclass(frozen=True)
class TodaysTest:
    """The test pictures of this checkout, each content once.

    paths, digests, actual, groups: (n,) the places below `folder`, the SHA-256, the class names and the names of the
    groups of pictures that are not independent; group_of: the group of each digest of the data set, also of pictures
    that the split leaves out; digest: of the pictures and their classes."""

    folder: Path
    paths: list[str]
    digests: list[str]
    actual: list[str]
    groups: list[str]
    group_of: pd.Series
    digest: str

    @classmethod
    def read(cls, at: Layout) -> "TodaysTest":
        """Read what the stages wrote. Raises DatasetError where something that is needed is missing."""
        for file in (at.split, at.left_out, at.index, at.raw):
            if not file.exists():
                raise DatasetError(
                    f"{file}: not there; the test pictures of this checkout are needed: `dvc repro`"
                )
        used = pd.read_parquet(at.split)
        every = pd.concat([used, pd.read_parquet(at.left_out)], ignore_index=True).fillna({"given_group": ""})
        every["key"] = group_keys(every)
        names = pd.read_parquet(at.index, columns=["path", "class_name"]).set_index("path")["class_name"]
        test = (
            every[: len(used)].query("split == 'test'").sort_values(["digest", "path"]).drop_duplicates("digest")
        )
        if test.empty or not test["path"].isin(names.index).all():
            raise DatasetError(f"{at.split}: it does not fit {at.index}, or has no test part; run `dvc repro`")
        actual = [str(name) for name in names[test["path"]]]
        lines = [f"{digest} {name}" for digest, name in zip(test["digest"], actual, strict=True)]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST_DIGITS]
        group_of = every.set_index("digest")["key"]
        return cls(at.raw, list(test["path"]), list(test["digest"]), actual, list(test["key"]), group_of, digest)

    def pictures(self, rows: list[int]) -> Iterator[bytes]:
        """The bytes of some of the pictures, one after the other. Raises DatasetError where they are others."""
        for row in rows:
            path = self.folder / self.paths[row]
            try:
                data = read_regular_file(path)
            except OSError as error:
                raise DatasetError(f"{path}: {error.strerror or error}; get it again: `dvc checkout`") from None
            if hashlib.sha256(data).hexdigest() != self.digests[row]:
                raise DatasetError(f"{path}: its bytes are not those of the split; bring it back: `dvc checkout`")
            yield data

    def left(self, learned: dict[str, frozenset[str]]) -> tuple[list[int], dict[str, int]]:
        """(the rows that no model learned from, nor from another picture of their group; number of others by reason).

        learned: the digests that each model learned from, by the model's name in a sentence."""
        rows, left_out = list(range(len(self.paths))), {}
        for name, digests in learned.items():
            known = {*self.group_of[self.group_of.index.isin(digests)]}
            left = [row for row in rows if self.groups[row] not in known]
            left_out[f"that {name} learned from, or from a near-duplicate"] = len(rows) - len(left)
            rows = left
        return rows, left_out


@dataclass(frozen=True)
class Model:
    """The file that the engine runs, with the card of the model; learned: the digests of its train and val pictures."""

    file: Path
    card: Card
    learned: frozenset[str]


def _workspace_model(at: Layout) -> Model:
    """The model of this checkout. Raises ModelError and DatasetError where it or the split is missing, or both are not
    of one run."""
    try:
        card = read_card(at.model)
    except ModelError as error:
        raise ModelError(f"{error}; make it with `dvc repro`, or get it again with `dvc checkout`") from None
    if not at.split.exists():
        raise DatasetError(f"{at.split}: not there; the test pictures of this checkout are needed: `dvc repro`")
    split = pd.read_parquet(at.split)
    if data_digest(split) != card.training_data_digest:
        raise DatasetError(
            f"{at.model}: trained on another split than {at.split}; bring both up to date: `dvc repro`"
        )
    if read_export_card(at.exported).model_digest != card.digest:
        raise ModelError(
            f"{at.exported}: made of another model than {at.model}; bring both up to date: `dvc repro`"
        )
    return Model(at.exported, card, digests_learned(split))


@contextmanager
def _downloaded(version: ModelVersion | None) -> Iterator[Model]:
    """A registered model with what it learned from. Raises ModelError where MLflow does not have it whole."""
    if version is None:
        raise ModelError("it is not in MLflow any more")
    with _files_of(version) as file:
        card = parse_card(card_path(file))
        yield Model(file, card, digests_learned(_split_of(version, card)))


@contextmanager
def _files_of(version: ModelVersion) -> Iterator[Path]:
    """The exported file of a registered model, with its cards beside it. Raises ModelError as `_downloaded` does."""
    with downloaded_model(f"models:/{NAME}/{version.version}") as file:
        card, digest = parse_card(card_path(file)), version.tags.get(MODEL_DIGEST)
        if not card.digest == digest == read_export_card(file).model_digest:
            raise ModelError("its file is not the one that was registered: it was changed")
        yield file


def _split_of(version: ModelVersion, card: Card) -> pd.DataFrame:
    """The split that a version learned from: from its run, or the present one where that is the same."""
    client, at = mlflow.MlflowClient(), Layout()
    name = f"{EVALUATED}/{at.split.name}"
    with busy_unless_it_answers():
        if version.run_id and name in {one.path for one in client.list_artifacts(version.run_id, EVALUATED)}:
            with TemporaryDirectory() as folder:
                return pd.read_parquet(client.download_artifacts(version.run_id, name, folder))
    present = pd.read_parquet(at.split) if at.split.exists() else None
    if present is not None and data_digest(present) == card.training_data_digest:
        return present
    raise ModelError("its MLflow run has no table of its split, so the pictures that it learned from are unknown")


@dataclass(frozen=True)
class Asked:
    """labels: the class names that a model gives to pictures, "" for one that it cannot read; milliseconds: the median
    of asking for one picture, from bytes to answer."""

    labels: list[str]
    milliseconds: float


def ask(model: Path, pictures: Iterable[bytes]) -> Asked:
    """Ask a model about pictures, given as the bytes of their files: the one place where the gate asks a model."""
    from pawline.predict import Predictor

    predictor = Predictor(model)
    first: list[bytes] = []

    def kept() -> Iterator[bytes]:
        for picture in pictures:
            if len(first) < NUM_TIMED:
                first.append(picture)
            yield picture

    labels = [prediction.label or "" for prediction in predictor.predict(kept())]
    seconds = []
    for picture in first[:1] + first:  # the first call of this size loads code
        start = perf_counter()
        list(predictor.predict([picture]))
        seconds.append(perf_counter() - start)
    return Asked(labels, 1000 * median(seconds[1:] or [0.0]))


# ---------------------------------------------------------------- a challenge


def _registered(registry: Registry, model: Model) -> ModelVersion:
    """The version of a model, made where there is none; the model is logged where no run has it."""
    with registry.locked():
        if known := registry.version_of(model.card.digest):
            return known
    run_id, model_id, experiment = _logged(model)
    with registry.locked():
        known = registry.version_of(model.card.digest)  # by another command meanwhile
        return known or registry.add_version(model.card.digest, run_id, model_id, experiment)


def _logged(model: Model) -> tuple[str, str, str]:
    """(the id of the run that has the model, the id of the logged model, the experiment that made it or "")"""
    digest = model.card.digest
    with busy_unless_it_answers():
        if found := _logged_before(digest):
            return found
        with mlflow.start_run(run_name=f"model {digest[:12]}", tags=run_origin()):  # DVC's cache brought it
            name_model(digest, conditions_of_card(model.card))
            log_model(model.file, model.card)
        found = _logged_before(digest)
    if not found:
        raise ModelError(f"MLflow has no logged model {digest[:12]}, though it was just logged; try again")
    return found


def _logged_before(digest: str) -> tuple[str, str, str] | None:
    runs = mlflow.search_runs(
        experiment_names=[EXPERIMENT], filter_string=f"tags.`{MODEL_DIGEST}` = '{digest}'", output_format="list"
    )
    here = "a workspace of its own" if is_experiment() else ""
    for run in runs:
        if run.outputs and run.outputs.model_outputs:
            experiment = run.data.tags.get(EXPERIMENT_TAG, "") or here
            return run.info.run_id, run.outputs.model_outputs[0].model_id, experiment
    return None


@dataclass(frozen=True)
class Challenge:
    """A version to be judged. check: whether its stage `check` passed, None where there is none; may_move: whether the
    command moves aliases by itself."""

    version: ModelVersion
    today: TodaysTest
    params: PromotionParams
    check: bool | None
    may_move: bool

    @property
    def number(self) -> int:
        return int(self.version.version)

    @property
    def digest(self) -> str:
        return str(self.version.tags[MODEL_DIGEST])

    @property
    def question(self) -> str:
        """The digest of all that the verdict depends on besides the champion."""
        asked = [self.digest, self.today.digest, self.params.model_dump(), self.check]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]


def _challenge(
    registry: Registry, one: Challenge, model: Callable[[], AbstractContextManager[Model]]
) -> tuple[Answer, Judgement | None]:
    """Judge a version, unless the same question about it has been answered, and carry the verdict out. model: called
    where the model is needed."""
    for _ in range(ATTEMPTS):
        with registry.locked():
            champion = registry.line().champion
            if known := _known(registry, one):
                return known
        with model() as challenger:
            verdict = _verdict(registry, one, champion, challenger)
        with registry.locked():
            if registry.line().champion == champion:  # else: judged against a champion that is none any more
                question = "" if verdict.may_change else one.question
                judgement = Judgement(verdict.decision, verdict.words, champion, question, one.check)
                registry.record(one.version, judgement)
                return _carried_out(registry, one, judgement, is_known=False), judgement
    raise BusyError("busy, try again: the champion changed while this model was judged")


def _known(registry: Registry, one: Challenge) -> tuple[Answer, Judgement | None] | None:
    """The answer that needs no pictures: to a question asked before, about the champion, about one rolled back."""
    line, judgement = registry.line(), registry.judgement(one.number)
    if one.number == line.champion:
        words = f"the champion; {judgement.words}" if judgement else "the champion, promoted by hand"
        return Answer(one.number, one.digest, PROMOTED, words, is_known=True), judgement
    if judgement and judgement.question == one.question and judgement.champion == line.champion:
        return _carried_out(registry, one, judgement, is_known=True), judgement
    if one.may_move and one.number in line.rolled_back:
        words = f"kept: it was rolled back; `pawline promote {one.number}` judges it again"
        return Answer(one.number, one.digest, KEPT, words, is_known=True), judgement
    return None


def _carried_out(registry: Registry, one: Challenge, judgement: Judgement, is_known: bool) -> Answer:
    """Move an alias as a verdict says, as far as this command may."""
    line, words, is_experiment_s = registry.line(), judgement.words, EXPERIMENT_VERSION in one.version.tags
    if judgement.decision == PROMOTE:
        if one.may_move and may_move(line, one.version, judgement):
            registry.move(line.promoted(one.number))
            return Answer(one.number, one.digest, PROMOTED, words, is_known)
        why = "made by an experiment" if is_experiment_s else "it was champion before"
        if one.number in line.rolled_back:
            why = "it was rolled back"
        favour = words.removeprefix("promoted: ")
        words = (
            f"kept: {why}; the gate is in favour ({favour}): `pawline promote {one.number}` makes it the champion"
        )
    elif one.may_move and is_experiment_s:
        words = (
            f"{words}; made by an experiment, so no alias moves: `pawline promote {one.number} --anyway` makes it the "
            "champion all the same"
        )
    elif one.may_move:
        registry.make_challenger(one.number)
    return Answer(one.number, one.digest, KEPT, words, is_known)


def _verdict(registry: Registry, one: Challenge, champion: int, model: Model) -> Verdict:
    """Judge a model against the champion, on the pictures that neither learned from."""
    if not champion:
        return first_version(one.check)
    with busy_unless_it_answers():
        holder = registry.version(champion)
    try:
        with _downloaded(holder) as before:
            rows, left_out = one.today.left({"the champion": before.learned, "the challenger": model.learned})
            groups = np.unique([one.today.groups[row] for row in rows], return_inverse=True)[1].astype(np.int64)
            if verdict := too_few(len({*groups.tolist()}), len(rows), left_out, one.params):
                return verdict
            old = ask(before.file, one.today.pictures(rows))
    except ModelError as error:
        return Verdict(
            CANNOT_TELL, f"can't tell: the champion, version {champion}, cannot be asked: {error}", True
        )
    # Only now, when it is sure that the pictures are looked at: a number spends part of the level.
    with registry.locked():
        number = registry.challenge_number(one.today.digest, one.number, champion)
    new = ask(model.file, one.today.pictures(rows))
    evidence = Evidence(
        actual=[one.today.actual[row] for row in rows],
        champion=old.labels,
        challenger=new.labels,
        groups=groups,
        megabytes=model.file.stat().st_size / 1e6,
        milliseconds=new.milliseconds,
    )
    return judge(evidence, one.check, number, one.params)


def _check_of_workspace(at: Layout) -> bool | None:
    """Whether the stage `check` passed, None where there is none."""
    file = at.metrics_of("check")
    if not file.exists():
        return None
    try:
        return bool(json.loads(file.read_text(encoding="utf-8"))["passed"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DatasetError(
            f"{file}: does not say whether the check passed; run it again: `dvc repro check`"
        ) from None
