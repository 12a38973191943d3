"""Other values for some of `params.yaml`: typed for Prefect's forms, checked as the file is, written to a copy."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, create_model
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.repro import WORKSPACE
from pawline.errors import ParamsError
from pawline.params import IngestParams, NetworkParams, PrepareParams, SplitParams, TrainParams, load_params

Tree = dict[str, Any]


def _optional(record: type[BaseModel]) -> Any:
    """The same record, but no key is required: only those that are given count."""
    fields: dict[str, Any] = {}
    for name, field in record.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _optional(kind)
        elif field.metadata:
            kind = Annotated[kind, *field.metadata]
        fields[name] = (kind | None, None)
    name = record.__name__.replace("Params", "Overrides")
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


IngestOverrides = _optional(IngestParams)
PrepareOverrides = _optional(PrepareParams)
SplitOverrides = _optional(SplitParams)
NetworkOverrides = _optional(NetworkParams)
TrainOverrides = _optional(TrainParams)
SECTIONS = {
    **{"ingest": IngestOverrides, "prepare": PrepareOverrides, "split": SplitOverrides},
    **{"network": NetworkOverrides, "train": TrainOverrides},
}


def parse(settings: list[str]) -> Tree:
    """["train.epochs=5"] -> {"train": {"epochs": 5}}; values are YAML. Raises ParamsError."""
    tree: Tree = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not all(key.split(".")):
            raise ParamsError(f"--set {setting}: expected KEY=VALUE, such as train.epochs=5")
        _merge(tree, _nested(key.split("."), _value(setting, value)))
    return tree


def _value(setting: str, text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ParamsError(f"--set {setting}: the value is not valid YAML: {error}") from None


def _nested(keys: list[str], value: Any) -> Any:
    return {keys[0]: _nested(keys[1:], value)} if keys else value


def given(**sections: BaseModel | None) -> Tree:
    """What was set in the sections of a flow run, as in `params.yaml`."""
    dumped = {
        name: section.model_dump(mode="json", exclude_unset=True) for name, section in sections.items() if section
    }
    return {name: values for name, values in dumped.items() if values}


def checked(tree: Tree) -> dict[str, BaseModel]:
    """The sections of a flow run. Raises ParamsError as `params.yaml` with these values would."""
    with TemporaryDirectory() as folder:
        write(tree, WORKSPACE / "params.yaml", Path(folder, "params.yaml"))
    return {name: SECTIONS[name].model_validate(values) for name, values in tree.items()}


def write(overrides: Tree, params: Path, into: Path) -> None:
    """Write `params` with other values, comments kept. Raises ParamsError as reading it would."""
    load_params(params)  # its own errors first
    yaml = YAML()
    tree = yaml.load(params.read_text(encoding="utf-8"))
    _merge(tree, overrides)
    with into.open("w", encoding="utf-8") as file:
        yaml.dump(tree, file)
    try:
        load_params(into)
    except ParamsError as error:
        raise ParamsError(str(error).replace(f"{into}:", "the values given for this run:")) from None


def _merge(tree: Any, overrides: Tree) -> None:
    for key, value in overrides.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value
