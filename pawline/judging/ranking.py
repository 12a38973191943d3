"""Area under the ROC curve and average precision of one class, on resampled pictures."""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.uint16]  # how often each picture is drawn in each replicate, (num_replicates, n)
Values = NDArray[np.float64]
Sums = NDArray[np.int64]


class Ranking:
    """The pictures in falling order of one class's probability."""

    def __init__(self, is_class: NDArray[np.bool_], scores: NDArray[np.floating]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        falling = -scores[self._order]
        self._places = np.flatnonzero(is_class[self._order])  # of the class's pictures
        own = falling[self._places]
        # Numbers of pictures, of all and of the class, that score higher; and those that score as high or higher.
        self._above, self._through = (np.searchsorted(falling, own, side) for side in ("left", "right"))
        self._own_above, self._own_through = (np.searchsorted(own, own, side) for side in ("left", "right"))

    def area(self, counts: Counts) -> Values:
        """Area under the ROC curve, (num_replicates,): the chance that a picture of the class scores higher than
        another one; ties count half. NaN where one of the two kinds was not drawn."""
        return self._area(*self._sums(counts))

    def both(self, counts: Counts) -> Values:
        """The same area, and average precision: (2, num_replicates)."""
        own, every, of_class = self._sums(counts)
        precision = of_class[:, self._own_through] / np.maximum(every[:, self._through], 1)
        with np.errstate(invalid="ignore"):  # the class was not drawn
            return np.array([self._area(own, every, of_class), (own * precision).sum(axis=1) / of_class[:, -1]])

    def _sums(self, counts: Counts) -> tuple[Sums, Sums, Sums]:
        """How often each picture of the class was drawn, and sums along the order: of all, of the class alone."""
        ordered = counts[:, self._order]
        own = ordered[:, self._places].astype(np.int64)
        return own, _summed(ordered), _summed(own)

    def _area(self, own: Sums, every: Sums, of_class: Sums) -> Values:
        positives, others = of_class[:, -1], every[:, -1] - of_class[:, -1]
        above = every.take(self._above, axis=1) - of_class.take(self._own_above, axis=1)
        through = every.take(self._through, axis=1) - of_class.take(self._own_through, axis=1)
        # Twice the wins, in whole numbers.
        wins = np.einsum("ij,ij->i", own, 2 * others[:, None] - above - through)
        with np.errstate(invalid="ignore"):  # one kind was not drawn
            return np.asarray(wins / 2 / (positives * others))


def _summed(counts: NDArray[np.integer]) -> Sums:
    """Sums of the first 0, 1, … n columns: (num_replicates, n + 1)."""
    sums = np.zeros((len(counts), counts.shape[1] + 1), np.int64)
    np.cumsum(counts, axis=1, out=sums[:, 1:])
    return sums
