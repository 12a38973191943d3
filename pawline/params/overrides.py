"""Override values of `params.yaml` for one run: typed for Prefect's forms, checked like the file, written to a copy."""

from inspect import Parameter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, create_model

from pawline.errors import ParamsError
from pawline.params.whole import Params, load_params
from pawline.yaml_files import YAMLError, edit_yaml, parse_yaml, yaml_problem

Tree = dict[str, Any]


def _optional(record: Any) -> Any:
    """The same record with every key optional: only the keys that are set override a value."""
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


SECTIONS: dict[str, Any] = {
    name: _optional(field.annotation)
    for name, field in Params.model_fields.items()
    if field.annotation is not None
}


def section_parameters() -> list[Parameter]:
    """One optional keyword parameter per section, for the signature of a flow."""
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=record | None)
        for name, record in SECTIONS.items()
    ]


def parse(settings: list[str]) -> Tree:
    """Parse settings: ["train.epochs=5"] gives {"train": {"epochs": 5}}; values are YAML. Raises ParamsError."""
    tree: Tree = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not all(key.split(".")):
            raise ParamsError(f"--set {setting}: expected KEY=VALUE, such as train.epochs=5")
        _merge(tree, _nested(key.split("."), _value(setting, value)))
    return tree


def _value(setting: str, text: str) -> Any:
    try:
        return parse_yaml(text)
    except YAMLError as error:
        raise ParamsError(f"--set {setting}: the value:{yaml_problem(error)}") from None


def _nested(keys: list[str], value: Any) -> Any:
    return {keys[0]: _nested(keys[1:], value)} if keys else value


def to_tree(sections: dict[str, BaseModel | None]) -> Tree:
    """Convert the sections of a flow run into a tree like that of `params.yaml`; it holds only keys that were set."""
    dumped = {
        name: section.model_dump(mode="json", exclude_unset=True) for name, section in sections.items() if section
    }
    return {name: values for name, values in dumped.items() if values}


def to_sections(tree: Tree, params: Path) -> dict[str, BaseModel]:
    """Convert a tree into the sections of a flow run. Raises ParamsError if `params` with these values is invalid."""
    with TemporaryDirectory() as folder:
        write(tree, params, Path(folder, "params.yaml"))
    return {name: SECTIONS[name].model_validate(values) for name, values in tree.items()}


def write(overrides: Tree, params: Path, into: Path) -> None:
    """Write a copy of `params` with these values; comments stay. Raises ParamsError if either file is invalid."""
    load_params(params)  # first report the errors of the file itself
    edit_yaml(params, into, lambda tree: _merge(tree, overrides))
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
