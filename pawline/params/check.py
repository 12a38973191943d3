"""The section `check` of `params.yaml`: what the stage `check` demands of metrics/evaluate.json."""

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from pawline.params.record import Record

Share = Annotated[float, Field(ge=0, le=1)]
OfClasses = dict[str, Share]
Most = Annotated[float, Field(ge=0)]


class CheckParams(Record):
    """Each key is a figure of metrics/evaluate.json, each value a bound; None demands nothing."""

    # The figure is at least this large. <figure>_low is the lower end of its interval.
    accuracy: Share | None = None
    accuracy_low: Share | None = None
    balanced_accuracy: Share | None = None
    balanced_accuracy_low: Share | None = None
    macro_f1: Share | None = None
    macro_f1_low: Share | None = None
    auc: Share | None = None
    auc_low: Share | None = None
    average_precision: Share | None = None
    average_precision_low: Share | None = None
    num_images: Annotated[int, Field(ge=1)] | None = None
    # The same, by class.
    precision: OfClasses | None = None
    precision_low: OfClasses | None = None
    recall: OfClasses | None = None
    recall_low: OfClasses | None = None
    f1: OfClasses | None = None
    f1_low: OfClasses | None = None
    # The figure is at most this large. <figure>_high is the upper end of its interval.
    loss: Most | None = None
    loss_high: Most | None = None
    brier: Most | None = None
    brier_high: Most | None = None
    calibration_error: Most | None = None
    calibration_error_high: Most | None = None

    @model_serializer(mode="wrap")
    def _only_what_is_demanded(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """MLflow lists each key; two dozen without a value would hide the others."""
        return {key: value for key, value in dump(self).items() if value is not None}


AT_MOST = ("loss", "brier", "calibration_error")  # figures of which less is better
