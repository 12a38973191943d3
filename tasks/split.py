"""Assign every image to train, val or test."""

from pawline.files import write_json, write_table
from pawline.params.whole import Params
from pawline.prepared import PreparedImages
from pawline.split import split_images, summarize
from pawline.terminal import say
from pawline.workspace.layout import Layout
from tasks.stage import return_freed_memory, run_stage


def main(params: Params, at: Layout) -> None:
    images = PreparedImages(at.prepared)
    split = split_images(images, params.split)
    write_table(at.split, split.used)
    write_table(at.left_out, split.left_out)
    write_json(at.metrics_of("split"), summarize(split, images.class_names))
    for finding in split.findings:
        say(finding)


if __name__ == "__main__":
    return_freed_memory()
    run_stage(main)
