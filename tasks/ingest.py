"""Copy the source: raw bytes and their index."""

from pawline.files import write_json
from pawline.ingest import ingest, summarize
from pawline.params.whole import Params
from pawline.relabel import kept_decisions
from pawline.terminal import say
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import Layout, LocalState
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    downloads = LocalState(main_checkout()).downloads
    ingested = ingest(params.ingest, at.raw, downloads, kept_decisions(at.relabel))
    ingested.rows.write(at.index)
    write_json(at.metrics_of("ingest"), summarize(ingested))
    for line in ingested.understood:
        say(line)


if __name__ == "__main__":
    run_stage(main)
