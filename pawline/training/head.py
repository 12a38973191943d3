"""The last layer on features that stay as they are: softmax regression with an L2 penalty. Needs no TensorFlow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from pawline.cross_entropy import cross_entropy
from pawline.errors import DatasetError
from pawline.softmax import softmax
from pawline.terminal import say
from pawline.training.features import Features

# From strong to weak, each fit starts from the one before. Half a decade makes hardly a difference on val.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
MAX_ITERATIONS = 2000

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """kernel: float32 (d, num_classes); bias: float32 (num_classes,). They give logits from features as they are."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    penalty: float
    num_iterations: int  # of all fits

    def logits(self, features: Features) -> NDArray[np.float32]:
        """Compute the logits of features, (n, d): float32 (n, num_classes)."""
        return np.asarray(features @ self.kernel + self.bias, np.float32)


def fit_head(
    train: tuple[Features, Labels],
    val: tuple[Features, Labels],
    num_classes: int,
    penalty: float | str,
    balanced: bool,
) -> Head:
    """Minimize the mean cross-entropy over train plus half of `penalty` times the squared weights, of features scaled
    to mean 0 and deviation 1.

    train, val: (float32 (n, d), int64 (n,)). penalty: a number, or auto: that of PENALTIES with the lowest
    cross-entropy on val; the search ends once this loss has risen twice in a row. balanced: all classes count the same
    in the mean. A class without a picture in train gets no weights and the lowest bias. Raises DatasetError if train
    holds one class."""
    features, labels = train
    if len(np.unique(labels)) < 2:
        raise DatasetError(
            f"train: the train part has {len(labels)} pictures, all of one class; expected two classes or more: "
            "add pictures, or lower split.val_fraction and split.test_fraction"
        )
    penalties = PENALTIES if penalty == "auto" else (float(penalty),)
    fits = _fits(features, labels, num_classes, penalties, balanced)
    heads, losses = _until_val_rises(fits, val, len(penalties))
    best = heads[int(np.argmin(losses))]
    if len(penalties) > 1:
        num_left = len(penalties) - len(heads)
        left = f"; {num_left} weaker ones were not tried, since the loss rose twice in a row" if num_left else ""
        say(f"train: of {len(heads)} penalties, {best.penalty:g} has the lowest loss on val{left}")
    return replace(best, num_iterations=heads[-1].num_iterations)


def _until_val_rises(
    fits: Iterator[Head], val: tuple[Features, Labels], count: int
) -> tuple[list[Head], list[float]]:
    """The heads with their losses on val, up to the head at which the loss has risen twice in a row.

    From strong to weak penalties the loss falls and then rises, and the weakest need the most iterations: with many
    classes each fit takes long."""
    heads, losses = list[Head](), list[float]()
    with tqdm(desc="last layer", total=count, unit=" penalties", disable=None) as bar:
        for head in fits:
            heads.append(head)
            losses.append(cross_entropy(val[1], softmax(head.logits(val[0]))))
            bar.update()
            if len(losses) > 2 and losses[-3] < losses[-2] < losses[-1]:
                break
    return heads, losses


def _fits(
    features: Features, labels: Labels, num_classes: int, penalties: tuple[float, ...], balanced: bool
) -> Iterator[Head]:
    """A head for each penalty; the iterations add up, since each fit starts from the one before."""
    from sklearn.linear_model import LogisticRegression  # half a second, for those who need it

    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    scaled = ((features - mean) / deviation).astype(np.float32)
    model = LogisticRegression(
        max_iter=MAX_ITERATIONS, tol=1e-4, warm_start=True, class_weight="balanced" if balanced else None
    )
    # For two classes scikit-learn penalizes one vector, their difference. Each class gets half of that vector (see
    # _for_all_classes), and the squares of both halves sum to half of its square.
    factor = 2 if len(np.unique(labels)) == 2 else 1
    num_iterations = 0
    for penalty in penalties:
        model.set_params(C=factor / (penalty * len(labels)))
        # One thread: sums in another order would make other bytes where a machine has another number of threads.
        with threadpool_limits(limits=1):
            model.fit(scaled, labels)
            kernel, bias = _for_all_classes(model.coef_.T, model.intercept_, model.classes_, num_classes)
            kernel = kernel / deviation[:, None]
            bias = bias - mean @ kernel
        num_iterations += int(model.n_iter_.max())
        yield Head(kernel.astype(np.float32), bias.astype(np.float32), penalty, num_iterations)


def _for_all_classes(
    kernel: NDArray[np.float64], bias: NDArray[np.float64], classes: Labels, num_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give every class a column. scikit-learn has one for two classes, and none for classes without pictures."""
    if len(classes) == 2:
        kernel, bias = np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    all_kernel = np.zeros((len(kernel), num_classes))
    all_bias = np.full(num_classes, bias.min() - 10)
    all_kernel[:, classes], all_bias[classes] = kernel, bias
    return all_kernel, all_bias
