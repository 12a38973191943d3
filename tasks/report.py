"""Everything about the run on one page of HTML, and the same as JSON."""

from dataclasses import replace

from pawline.files import write_json, write_text
from pawline.page.inputs import read_inputs
from pawline.page.provenance import named_params
from pawline.params.whole import Params, dotted
from pawline.report import announce, describe, render, report_data
from pawline.workspace.layout import Layout
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    inputs = replace(read_inputs(vars(at)), params=named_params(dotted(params.model_dump(mode="json"))))
    content = describe(inputs)
    write_text(at.report, render(content))
    write_json(at.report_data, report_data(content))
    announce(inputs.metrics["evaluate"], at.report, content["decisions"])


if __name__ == "__main__":
    run_stage(main)
