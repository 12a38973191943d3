"""Write the report, one HTML page: the data, the images left out, the training, the mistakes and likely faults.

The modules of `pawline/page/` select and measure the content of each section; `report.html` describes and draws it. The
page depends on its inputs alone. Every list on the page has a limit, and the page says where a list was cut.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pawline.figures import in_one_line
from pawline.page import data_sections, finding_sections, model_sections, template
from pawline.page.album import Album
from pawline.page.as_data import as_data
from pawline.page.inputs import MAX_CLASSES, ReportInputs, hardest_classes
from pawline.page.provenance import provenance
from pawline.parts import PARTS
from pawline.terminal import say

FIGURES_FOLLOW = "PAWLINE_FIGURES_FOLLOW"  # set by `make run`, which ends with a table of them


def describe(inputs: ReportInputs, pictures: bool = True) -> dict[str, Any]:
    """The content of every section, by name. pictures: false leaves out all thumbnails, for a page to share."""
    images, shown_classes, album = (
        inputs.images,
        hardest_classes(inputs, MAX_CLASSES),
        Album(inputs.images, pictures),
    )
    measured = finding_sections.measure(inputs)
    return {
        "metrics": inputs.metrics,
        "form": images.form.model_dump(),
        "class_names": images.class_names,
        "num_images": len(images),
        "pictures": pictures,
        "parts": PARTS,
        "shown_classes": shown_classes,
        "headline": model_sections.headline(inputs),
        "tiles": model_sections.tiles(inputs.metrics["evaluate"]),
        "training": model_sections.training(inputs),
        "confusion": model_sections.confusion(inputs.predictions, images.class_names, shown_classes),
        "classes": model_sections.classes(inputs),
        "examples": model_sections.examples(inputs, album),
        "calibration": finding_sections.calibration(inputs.calibration),
        "thresholds": finding_sections.thresholds(inputs.thresholds),
        "findings": finding_sections.findings(inputs, measured, album),
        "decisions": data_sections.decisions(inputs),
        "given_parts": data_sections.given_parts(inputs.index),
        "sizes": data_sections.sizes(inputs.index),
        "light": data_sections.light(measured.overview, len(images), shown_classes, album),
        "duplicates": data_sections.duplicates(inputs, album),
        "quarantine": data_sections.quarantine(inputs.quarantine, inputs.contact_sheet, album),
        "samples": data_sections.samples(images, shown_classes, album),
        "provenance": provenance(inputs),
    }


def render(content: dict[str, Any]) -> str:
    """Return one HTML page that needs no other file, no script and no network; equal content makes equal text."""
    return template.render("report.html", **content)


def report_data(content: dict[str, Any]) -> Any:
    """The content as plain data for JSON, without pictures."""
    return as_data({key: value for key, value in content.items() if key not in ("samples", "pictures", "parts")})


def announce(metrics: Mapping[str, Any], page: Path, decisions: Mapping[str, Any]) -> None:
    """Show the accuracy, what decisions about labels changed, and where the page is, in one line; nothing where a table
    of the figures follows and there are no decisions.

    metrics: those of metrics/evaluate.json; decisions: from data_sections.decisions."""
    parts = [] if FIGURES_FOLLOW in os.environ else [in_one_line(metrics)]
    parts += [f"by decisions {decisions['words']}"] if decisions else []
    if parts:
        say(f"report: {'; '.join([*parts, f'{page} shows the whole run'])}")
