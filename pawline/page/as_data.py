"""The content of the report as plain data, for programs: the same figures and tables, no pictures, no drawing."""

import math
from typing import Any

import numpy as np

# What only the page draws.
DRAWN = {"picture", "map", "charts", "chart", "at", "reach", "histogram", "ends"}
DIGITS = 6  # significant ones; the rest is noise of the processor


def as_data(value: Any) -> Any:
    """Turn content into values that JSON knows; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): as_data(item) for key, item in value.items() if key not in DRAWN}
    if isinstance(value, list | tuple | np.ndarray):
        return [as_data(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value if value is None else str(value)
