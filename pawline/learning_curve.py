"""Would more data help, and how much? Accuracy on test after training on 10, 25, 50 and 100 % of the train part.

The shares of one draw are nested: the pictures of 10 % are among those of 25 %. Groups (copies, near-duplicates, one
patient) are drawn as wholes, within each class. All trainings have the number of steps of the whole train part, so that
the smaller shares are not cut short, and the same val and test. Test serves to judge the data here, not to choose a
model.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.stats import t

from pawline.errors import DatasetError
from pawline.judging.clustered import design_effect, wilson
from pawline.judging.paired import group_weights
from pawline.judging.predictions import classes_of, probabilities_of
from pawline.linked_groups import group_keys
from pawline.params.train import Recipe, TrainParams
from pawline.part_by_hash import hash_fraction
from pawline.series import OneTraining, Series
from pawline.training.schedule import batches_per_epoch, with_fitting_batch

SHARES, NUM_DRAWS = (0.5, 0.25, 0.1), 3  # below the whole train part
WHOLE = "all"
MIN_GROUPS = 40  # of the train part: 10 % of fewer are no measurement
AHEAD = (2, 4)  # times the train part: how far the answer looks
WORTH = 0.005  # of accuracy: a smaller gain is hardly worth the work of twice as many pictures
NUM_REPLICATES = 300
HIGHEST_POWER = 1.0  # errors fall with the number of pictures at most like 1 / n

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CurvePlan:
    """The trainings of a learning curve. keys: of the groups that stay together, (n,)."""

    split: pd.DataFrame
    keys: pd.Series
    train_params: TrainParams
    seed: int
    shares: Sequence[float] = SHARES
    num_draws: int = NUM_DRAWS

    @classmethod
    def of(cls, split: pd.DataFrame, train_params: TrainParams, seed: int) -> "CurvePlan":
        """Plan the curve of a split. Raises DatasetError where test is empty or train has too few groups."""
        keys = group_keys(split)
        if not (split["split"] == "test").any():
            raise DatasetError("the test part is empty: there is nothing to measure the curve on; add pictures")
        if (count := keys[split["split"] == "train"].nunique()) < MIN_GROUPS:
            raise DatasetError(
                f"train has {count} different pictures (duplicates count once), a learning curve needs {MIN_GROUPS}; "
                "add pictures"
            )
        return cls(split, keys, train_params, seed)

    @property
    def names(self) -> list[str]:
        draws = range(1, self.num_draws + 1)
        return [WHOLE, *(f"{100 * share:g}%-draw-{draw}" for share in self.shares for draw in draws)]

    def training(self, name: str, series: Series) -> OneTraining:
        """The training of a name. That of the whole train part must be finished before any other."""
        if name == WHOLE:
            return OneTraining(name, self.split, self.train_params)
        whole = series.finished(WHOLE)
        assert whole is not None
        share, draw = name.split("%-draw-")
        used = self.drawn(float(share) / 100, int(draw)) | (self.split["split"] != "train").to_numpy(bool)
        split = self.split[used].reset_index(drop=True)
        return OneTraining(
            name, split, self._equal_steps(split, Recipe.model_validate_json(whole["recipe"].iloc[0]))
        )

    def drawn(self, share: float, draw: int) -> NDArray[np.bool_]:
        """The pictures of train in a draw, (n,): the groups with the smallest hashes, a share of each class's groups,
        at least one."""
        train = (self.split["split"] == "train").to_numpy(bool)
        groups = pd.DataFrame({"key": self.keys[train], "label": self.split.loc[train, "label"]}).drop_duplicates(
            "key"
        )
        groups["hash"] = groups["key"].map(lambda key: hash_fraction(f"draw {draw} {key}", self.seed))
        rank = groups.groupby("label")["hash"].rank(method="first")
        size = groups.groupby("label")["key"].transform("size")
        chosen = groups.loc[rank <= np.ceil(share * size - 1e-9), "key"]
        return train & self.keys.isin(chosen).to_numpy(bool)

    def _equal_steps(self, split: pd.DataFrame, whole: Recipe) -> Recipe:
        """The recipe of a smaller training: that of the whole part, with a patience of as many steps as there."""
        counts = [int((table["split"] == "train").sum()) for table in (self.split, split)]
        batches = [batches_per_epoch(with_fitting_batch(whole, count), count) for count in counts]
        return whole.model_copy(update={"patience": math.ceil(whole.patience * batches[0] / batches[1])})


@dataclass(frozen=True)
class MeasuredCurve:
    """The trainings of a curve, one row each. num_images: (k,) pictures of train; right: (k, n) whether a picture of
    test was named right; groups: (n,) numbers from 0."""

    num_images: Values
    right: NDArray[np.bool_]
    groups: NDArray[np.int64]

    @property
    def sizes(self) -> Values:
        return np.unique(self.num_images)

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of trainings of each size."""
        return np.unique(self.num_images, return_counts=True)[1]


def measure_curve(plan: CurvePlan, tables: dict[str, pd.DataFrame]) -> MeasuredCurve:
    """Read the predictions of all trainings, see `Series.run`."""
    test = plan.split[plan.split["split"] == "test"]
    of_path = pd.Series(pd.factorize(plan.keys[test.index])[0], test["path"])
    first = tables[WHOLE]
    num_images, right = [], []
    for name, table in tables.items():
        right.append(probabilities_of(table, classes_of(table)).argmax(axis=1) == table["label"].to_numpy())
        share, _, draw = name.partition("%-draw-")
        train = (
            plan.drawn(float(share) / 100, int(draw)) if draw else (plan.split["split"] == "train").to_numpy(bool)
        )
        num_images.append(int(train.sum()))
    # Draws of a share differ a little in size, as their groups do; they count as one point of the curve.
    sizes = (
        pd.Series(num_images, dtype=float).groupby([name.partition("%")[0] for name in tables]).transform("mean")
    )
    return MeasuredCurve(sizes.to_numpy(), np.array(right), of_path.loc[first["path"]].to_numpy(np.int64))


def join_trainings(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The predictions of all trainings in one table; the column `training` holds their names."""
    return pd.concat([table.assign(training=name) for name, table in tables.items()], ignore_index=True)


@dataclass(frozen=True)
class PowerLaw:
    """accuracy(n) = 1 - floor - amount * (n / whole) ** -power. whole: the pictures of the whole train part."""

    floor: float
    amount: float
    power: float
    whole: float

    def accuracy(self, num_images: Any) -> Any:
        return 1 - self.floor - self.amount * (np.asarray(num_images, float) / self.whole) ** -self.power


def fit_power_law(num_images: Values, accuracies: Values, spread: Values) -> PowerLaw:
    """Fit by weighted least squares. num_images, accuracies, spread: (k,); spread: standard deviations, relative to
    each other."""
    whole, errors = float(num_images.max()), 1 - accuracies
    last = float(errors[num_images.argmax()])

    def error(size: Values, floor: float, amount: float, power: float) -> Values:
        return np.asarray(floor + amount * (size / whole) ** -power)

    def slopes(size: Values, floor: float, amount: float, power: float) -> Values:
        fall = (size / whole) ** -power
        return np.column_stack([np.ones_like(fall), fall, -amount * fall * np.log(size / whole)])

    (floor, amount, power), _ = curve_fit(
        error,
        num_images,
        errors,
        p0=[last / 2, max(last / 2, 1e-3), 0.5],
        sigma=spread,
        bounds=([0, 0, 1e-3], [1, 1, HIGHEST_POWER]),
        jac=slopes,
        max_nfev=500,
    )
    return PowerLaw(float(floor), float(amount), float(power), whole)


def answer(measured: MeasuredCurve, seed: int = 1, num_replicates: int = NUM_REPLICATES) -> dict[str, Any]:
    """Fit the curve and say whether more data would help. Every accuracy has a 95 % interval.

    That of a measured point holds what other test pictures would change. Trainings of one size differ too, which one or
    three of them can hardly show: `trainings` lists each.

    That of the curve and the forecast comes from a bootstrap: it draws the groups of test, the same for all trainings,
    and moves each point as far as draws of one share differ. It holds as long as the curve goes on as a power law and
    new pictures are like these."""
    sizes, accuracies = measured.sizes, measured.right.mean(axis=1)
    means = _means(measured, accuracies)
    deviation, freedom = _spread_of_draws(measured, accuracies)
    spread = np.maximum(deviation, 1e-3) / np.sqrt(measured.counts)
    law = fit_power_law(sizes, means, spread)
    ahead = law.whole * np.array([1, *AHEAD])
    grid = np.geomspace(sizes.min(), ahead[-1], 40)
    noise = deviation / np.sqrt(measured.counts), freedom
    laws = _refitted(sizes, spread, _replicates(measured, noise, seed, num_replicates))
    found = {
        "points": [
            {"num_images": size, "num_trainings": int(count), "accuracy": mean, **_test_interval(measured, size)}
            for size, count, mean in zip(sizes.tolist(), measured.counts, means.tolist(), strict=True)
        ],
        "trainings": [
            {"num_images": size, "accuracy": accuracy}
            for size, accuracy in zip(measured.num_images.tolist(), accuracies.tolist(), strict=True)
        ],
        "power_law": {"floor": law.floor, "amount": law.amount, "power": law.power},
        "ahead": _forecast(law, np.array([other.accuracy(ahead) for other in laws])),
        "curve": [
            {"num_images": float(size), "accuracy": float(law.accuracy(size)), **_interval(accuracy)}
            for size, accuracy in zip(grid, np.array([other.accuracy(grid) for other in laws]).T, strict=True)
        ],
        "num_test_images": measured.right.shape[1],
        "spread_of_draws": deviation,
    }
    return found | {"verdict": _verdict(found["ahead"][0]), "answer": _words(found)}


def _replicates(
    measured: MeasuredCurve, noise: tuple[Values, int], seed: int, num_replicates: int
) -> Iterator[Values]:
    """Yield the points of each bootstrap replicate, (number of sizes,). noise: the standard error of each point by its
    draws, and the degrees of freedom of Student's t from which it is drawn."""
    rng = np.random.default_rng(seed)
    errors, freedom = noise
    for weights in group_weights(measured.groups, seed, num_replicates):
        for drawn in (measured.right @ weights.T / weights.sum(axis=1)).T:
            moves = t.rvs(freedom, size=len(errors), random_state=rng) * errors
            yield np.clip(_means(measured, drawn) + moves, 0, 1)


def _refitted(sizes: Values, spread: Values, replicates: Iterator[Values]) -> list[PowerLaw]:
    """The curves of the replicates that can be fitted."""
    laws = []
    for moved in replicates:
        try:
            laws.append(fit_power_law(sizes, moved, spread))
        except RuntimeError:  # no fit within the limit of steps
            continue
    return laws


def _forecast(law: PowerLaw, replicates: Values) -> list[dict[str, float]]:
    """The accuracy with more data and the gain over today, for each of AHEAD.

    replicates: the accuracies of the refitted curves, (number of replicates, 1 + len(AHEAD)), today's first."""
    gains = replicates[:, 1:] - replicates[:, :1]
    return [
        {
            "times": times,
            "accuracy": float(law.accuracy(times * law.whole)),
            **_interval(replicates[:, i]),
            "gain": float(law.accuracy(times * law.whole) - law.accuracy(law.whole)),
            "gain_low": float(np.percentile(gains[:, i - 1], 2.5)),
            "gain_high": float(np.percentile(gains[:, i - 1], 97.5)),
        }
        for i, times in enumerate(AHEAD, start=1)
    ]


def _means(measured: MeasuredCurve, accuracies: Values) -> Values:
    """The mean accuracy of each size, (number of sizes,)."""
    return np.array([accuracies[measured.num_images == size].mean() for size in measured.sizes])


def _spread_of_draws(measured: MeasuredCurve, accuracies: Values) -> tuple[float, int]:
    """(standard deviation of trainings of one size, pooled over the sizes; its degrees of freedom)."""
    groups = [accuracies[measured.num_images == size] for size in measured.sizes]
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 1)


def _test_interval(measured: MeasuredCurve, size: float) -> dict[str, float]:
    """The 95 % interval of the mean of all trainings of a size, by group of test: see judging/clustered.py."""
    right = measured.right[measured.num_images == size]
    effect = float(np.mean([design_effect(each, measured.groups) for each in right]))
    low, high = wilson(float(right.mean()), right.shape[1] / effect)
    return {"accuracy_low": low, "accuracy_high": high}


def _interval(values: Values) -> dict[str, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return {"accuracy_low": float(low), "accuracy_high": float(high)}


def _verdict(twice: dict[str, float]) -> str:
    if twice["gain_low"] >= WORTH:
        return "yes"
    return "hardly" if twice["gain_high"] < WORTH else "can't tell"


def _words(found: dict[str, Any]) -> str:
    twice, four_times = found["ahead"]
    gains = [
        f"{times} as many training pictures would bring {100 * one['gain']:+.1f} points of accuracy (95 % interval "
        f"{100 * one['gain_low']:+.1f} to {100 * one['gain_high']:+.1f})"
        for times, one in (("twice", twice), ("four times", four_times))
    ]
    verdict = _verdict(twice)
    if verdict == "yes":
        return f"yes, more data would help: {gains[0]}, {gains[1]}"
    if verdict == "hardly":
        return f"hardly: {gains[0]}, {gains[1]}; work on labels, params or larger pictures instead"
    larger = f"a larger test part (now {found['num_test_images']:,} pictures) would narrow this down"
    return f"can't tell: {gains[0]}, {gains[1]}; {larger}"
