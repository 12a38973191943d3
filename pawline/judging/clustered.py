"""The interval of an accuracy where pictures come in groups of copies and near-duplicates."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm


def accuracy_interval(right: NDArray[np.bool_], groups: NDArray[np.int64]) -> tuple[float, float]:
    """The 95 % interval of Wilson (1927) for the share of `right`, for as many pictures as the groups are worth.

    right: (n,); groups: (n,) numbers from 0. The number of pictures is divided by Kish's design effect (1965), the
    variance of the mean with groups over that without; pictures that are all alone give Wilson's own interval.
    """
    return wilson(float(right.mean()), len(right) / design_effect(right, groups))


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95 % interval of Wilson (1927) for a share among `count` independent pictures, at least one."""
    z = float(norm.ppf(0.975))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = max(0.0, float(middle - reach)), min(1.0, float(middle + reach))
    return 0.0 if share == 0 else low, 1.0 if share == 1 else high  # rounding would leave the share outside


def design_effect(right: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """Kish's design effect, at least 1: groups whose pictures disagree by chance do not count as more pictures.

    right: (n,); groups: (n,) numbers from 0."""
    share = right.mean()
    if share in (0, 1):  # nothing shows how alike the pictures of a group are: as if each group were one picture
        return float((np.bincount(groups) ** 2).sum() / len(right))
    of_groups = np.bincount(groups, right - share)
    return max(1.0, float((of_groups**2).sum() / (len(right) * share * (1 - share))))
