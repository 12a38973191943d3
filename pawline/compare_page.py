"""Show a comparison of two runs: as lines for a terminal, and as one page of HTML."""

from dataclasses import asdict
from typing import Any

import numpy as np

from pawline.compare import BETTER, CANNOT_TELL, SAME, WORSE, Changed, Comparison, points
from pawline.judging.paired import METRICS, Difference
from pawline.page.album import jpeg_uri
from pawline.page.template import render
from pawline.parts import PARTS
from pawline.pictures.decode import to_jpeg
from pawline.prepared import PreparedImages
from pawline.words import plural

NUM_SHOWN = 24  # pictures per gallery
MIN_DIFFERENT = 6  # answers of which one is right: 2 * 0.5**5 is above 0.05, so fewer never tell anything
NOISE = 1e-6  # of a temperature that was written and read again

NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "area under ROC",
    "loss": "log loss",
    "brier": "Brier score",
}
IN_POINTS = {"accuracy", "balanced_accuracy"}


def compare_lines(found: Comparison) -> list[str]:
    """The comparison for a terminal, a line each."""
    rows = figure_rows(found)
    table = [f"{'':<18}{'A':>8}{'B':>8}  {'B - A':>8}  95 % interval"]
    table += [
        f"{row['name']:<18}{row['first']:>8}{row['second']:>8}  {row['difference']:>8}  {row['interval']:<21}"
        f"{row['verdict']}"
        for row in rows
    ]
    lines = [f"A  {found.first}", f"B  {found.second}", "", *table, ""]
    shared = plural(found.num_pictures, "shared test picture")
    lines.append(f"fixed {found.num_fixed:,}, broken {found.num_broken:,} of {shared}")
    lines += [f"left out: {count:,} {reason}" for reason, count in found.left_out.items() if count]
    lines += [*model_lines(found), data_words(found)]
    lines += ["params that differ:" if found.params else "no param differs"]
    lines += [f"  {key}: {_shown(one)} -> {_shown(other)}" for key, (one, other) in found.params.items()]
    return [*lines, "", found.summary, *corrected_lines(found)]


def model_lines(found: Comparison) -> list[str]:
    """Say where both runs have one model file, and what makes its probabilities differ all the same; else nothing."""
    if not found.data["same_model"]:
        return []
    line, (one, other) = "Both are the same model: their files have one SHA-256.", found.data["temperatures"]
    if one is not None and other is not None and abs(one - other) > NOISE:
        line += (
            f" Its temperature differs, {one:.3g} and {other:.3g}: it follows from the labels of val, and changes log "
            "loss and Brier score, but no answer."
        )
    return [line]


def corrected_lines(found: Comparison) -> list[str]:
    """The second figure, where classes of test pictures were changed; else nothing."""
    if not (one := found.corrected):
        return []
    return [
        f"a second figure, on the classes of B, which differ for {plural(one.num_changed, 'test picture')}: accuracy "
        f"{one.first:.1%} -> {one.second:.1%} on {one.num_pictures:,} pictures (p = {one.p_value:.2g}); corrected "
        "classes flatter the model that helped to find them"
    ]


def compare_page(found: Comparison, images: PreparedImages | None) -> str:
    """One page of HTML. images: the prepared pictures of this checkout; None for a page without pictures."""
    return render(
        "compare.html",
        found=found,
        headline=_headline(found),
        rows=figure_rows(found),
        left_out=[(reason, count) for reason, count in found.left_out.items() if count],
        corrected=corrected_lines(found),
        fixed=_gallery(found.fixed, images),
        broken=_gallery(found.broken, images),
        data_words=" ".join([*model_lines(found), data_words(found)]),
    )


def _headline(found: Comparison) -> str:
    if found.is_same_model:
        return "The same model"
    return "Can't tell" if found.verdict == CANNOT_TELL else f"B is {found.verdict}"


def figure_rows(found: Comparison) -> list[dict[str, str]]:
    """The figures as text: name, first, second, difference, interval, verdict."""
    return [_figure_row(key, difference, found) for key, difference in found.metrics.items()]


def _figure_row(key: str, figure: Difference, found: Comparison) -> dict[str, str]:
    in_points = key in IN_POINTS

    def write(value: float) -> str:
        return f"{value:.1%}" if in_points else f"{value:.4f}"

    def write_difference(value: float) -> str:
        return points(value) if in_points else f"{value:+.4f}"

    return {
        "name": NAMES[key],
        "first": write(figure.first),
        "second": write(figure.second),
        "difference": write_difference(figure.difference),
        "interval": f"{write_difference(figure.low)} to {write_difference(figure.high)}",
        "verdict": _accuracy_verdict(figure, found) if key == "accuracy" else _verdict(key, figure, found),
    }


def _accuracy_verdict(figure: Difference, found: Comparison) -> str:
    """The verdict, and which of the two is wrong where the interval says otherwise: the test is exact, while a
    bootstrap of few disagreements draws too narrow an interval (none of its replicates may turn the sign)."""
    if found.is_same_model:
        return SAME
    if figure.is_significant == (found.verdict != CANNOT_TELL):
        return found.verdict
    why = "too narrow with so few different answers" if figure.is_significant else "only approximate"
    return f"{found.verdict}: exact p = {found.p_value:.2g}, the interval is {why}"


def _verdict(key: str, figure: Difference, found: Comparison) -> str:
    num_different = found.num_fixed + found.num_broken
    if key in IN_POINTS and figure.is_significant and num_different < MIN_DIFFERENT:
        return f"{CANNOT_TELL}: the interval is too narrow with {plural(num_different, 'different answer')}"
    is_gain = (figure.difference > 0) == METRICS[key][1]
    return (BETTER if is_gain else WORSE) if figure.is_significant else CANNOT_TELL


def data_words(found: Comparison) -> str:
    """Say whether both learned from the same data, and how many labels differ."""
    if found.data["same"]:
        return "Both learned from the same pictures, with the same split."
    return " ".join([_pictures_words(found), *_label_words(found)])


def _label_words(found: Comparison) -> list[str]:
    changed = {part: count for part, count in (found.data["labels_changed"] or {}).items() if count}
    if not changed:
        return []
    places = ", ".join(f"{count:,} in {part}" for part, count in changed.items())
    number = sum(changed.values())
    verb = "has another class" if number == 1 else "have other classes"
    return [f"Of the pictures that both have, {number:,} {verb} in B: {places}."]


def _pictures_words(found: Comparison) -> str:
    alone = found.data["learned_from_by_first_alone"] + found.data["learned_from_by_second_alone"]
    if not alone and found.data["num_images"][0] == found.data["num_images"][1]:
        if found.data["labels_changed"] is None:
            return "Both learned from the same pictures, but labels differ, or what is train and what is val."
        moved = (
            f", but {plural(found.data['num_moved'], 'picture')} changed the part"
            if found.data["num_moved"]
            else ""
        )
        return f"Both learned from the same pictures{moved}."
    parts = [", ".join(f"{counts.get(part, 0):,} {part}" for part in PARTS) for counts in found.data["num_images"]]
    return (
        f"The data differ: A has {parts[0]}; B has {parts[1]}. In train and val, "
        f"{plural(found.data['learned_from_by_first_alone'], 'picture')} of A alone and "
        f"{found.data['learned_from_by_second_alone']:,} of B alone."
    )


def _shown(value: str | None) -> str:
    return "not set" if value is None else value


def _gallery(changed: list[Changed], images: PreparedImages | None) -> list[dict[str, Any]]:
    """The pictures on which the second model is surest, each with its pixels where this checkout has them."""
    surest = sorted(changed, key=lambda one: (-one.second_probability, one.digest))[:NUM_SHOWN]
    rows: dict[str, int] = {}
    if images is not None:
        digests = images.table["digest"]
        known = digests[digests.isin([one.digest for one in surest])]
        rows = {
            str(digest): int(row) for row, digest in zip(np.flatnonzero(digests.isin(known)), known, strict=True)
        }
    return [asdict(one) | {"picture": _picture(images, rows.get(one.digest))} for one in surest]


def _picture(images: PreparedImages | None, row: int | None) -> str:
    return "" if images is None or row is None else jpeg_uri(to_jpeg(images.pixels(np.array([row]))[0]))
