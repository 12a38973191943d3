"""The verdict about new pictures, for people."""

from typing import Any

from pawline.drift import NewPictures, Verdict
from pawline.words import number, percent

HEADER = ("", "training data", "new pictures", "effect", "")


def drift_lines(verdict: Verdict) -> list[str]:
    """A table in columns, and the verdict in words."""
    rows = drift_rows(verdict)
    widths = [max(len(row[column]) for row in [HEADER, *rows]) for column in range(len(HEADER))]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in [HEADER, *rows]
    )
    return [*(line.rstrip() for line in lines), "", str(verdict)]


def left_out(new: NewPictures, num_passed_over: int) -> str:
    """What does not count, in one line; empty where all counts."""
    counts = {
        "pictures that cannot be read": new.num_unreadable,
        "copies": new.num_copies,
        "files that are no pictures": num_passed_over,
    }
    parts = [f"{count} {what}" for what, count in counts.items() if count]
    return f"left out: {', '.join(parts)}" if parts else ""


def drift_rows(verdict: Verdict) -> list[tuple[str, str, str, str, str]]:
    """(trait, training data, new pictures with the interval, effect, "differs" or nothing) for each trait."""
    return [_row(row) for row in verdict.table.to_dict("records")]


def _row(row: Any) -> tuple[str, str, str, str, str]:
    shown = percent if row["name"] else number
    trait = row["trait"] if row["name"] in ("", "yes") else f"{row['trait']} {row['name']}"
    new = f"{shown(row['new'])} ({shown(row['new_low'])} to {shown(row['new_high'])})"
    return trait, shown(row["training"]), new, f"{row['effect']:.2f}", "differs" if row["alarm"] else ""
