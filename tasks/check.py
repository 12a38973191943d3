"""Compare the figures of the test part with the section `check`; metrics and report stand when it fails."""

import json

from pawline.check import find_conditions, refuse_failed, summarize
from pawline.files import write_json
from pawline.params.whole import Params
from pawline.workspace.layout import Layout
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    conditions = find_conditions(json.loads(at.metrics_of("evaluate").read_text(encoding="utf-8")), params.check)
    write_json(at.metrics_of("check"), summarize(conditions))
    refuse_failed(conditions)


if __name__ == "__main__":
    run_stage(main)
