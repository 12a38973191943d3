"""Precision, processor and GPU are detected from the machine."""

import pytest

from pawline.errors import ParamsError
from pawline.model import machine


@pytest.mark.parametrize(
    ("flags", "setting", "precision"),
    [
        ({"amx_bf16", "avx512_bf16"}, "auto", "bfloat16"),
        ({"avx512_bf16", "GenuineIntel"}, "auto", "float32"),  # float32 is faster on Intel's
        ({"avx512_bf16", "AuthenticAMD"}, "auto", "bfloat16"),
        ({"avx512f", "AuthenticAMD"}, "auto", "float32"),
        (set(), "auto", "float32"),
        ({"avx512_bf16"}, "bfloat16", "bfloat16"),
        ({"amx_bf16"}, "float32", "float32"),
    ],
)
def test_precision_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], setting: str, precision: str
) -> None:
    monkeypatch.setattr(machine, "_features", lambda: frozenset(flags))
    assert machine.choose_precision(setting) == precision


def test_maker_and_flags_are_read_from_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512_bf16\n\n"
    monkeypatch.setattr(machine.Path, "read_text", lambda path: cpuinfo * 2)
    monkeypatch.setattr(machine.Path, "is_dir", lambda path: False)
    assert machine._features.__wrapped__() == {"AuthenticAMD", "fpu", "avx512_bf16"}


def test_an_unsupported_precision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_features", lambda: frozenset({"avx2"}))
    with pytest.raises(ParamsError, match=r"train.precision is bfloat16, which this machine cannot compute in"):
        machine.choose_precision("bfloat16")


@pytest.mark.parametrize(
    ("driver", "libraries", "visible", "usable"),
    [
        (True, True, None, True),
        (True, True, "0", True),
        (True, True, "", False),
        (True, True, "-1", False),
        (True, False, None, False),  # after `make setup`, without the extra `gpu`
        (False, True, None, False),
    ],
)
def test_a_gpu_counts_if_tensorflow_can_use_it(
    monkeypatch: pytest.MonkeyPatch, driver: bool, libraries: bool, visible: str | None, usable: bool
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(machine.Path, "is_dir", lambda path: driver)
    monkeypatch.setattr(machine, "find_spec", lambda name: libraries or None)
    monkeypatch.setattr(machine, "find_library", lambda name: None)
    assert machine.has_gpu() is usable


@pytest.mark.parametrize(
    ("features", "name"),
    [
        ({"AuthenticAMD", "avx2"}, "AuthenticAMD avx2"),
        ({"GenuineIntel", "avx2", "avx512f", "avx512_vnni"}, "GenuineIntel avx512_vnni"),
        ({"AuthenticAMD", "avx2", machine.GPU}, "AuthenticAMD avx2 an NVIDIA GPU"),
    ],
)
def test_the_processor_is_named_by_maker_instructions_and_gpu(
    monkeypatch: pytest.MonkeyPatch, features: set[str], name: str
) -> None:
    monkeypatch.setattr(machine, "_features", lambda: frozenset(features))
    assert machine.processor() == name


@pytest.mark.parametrize(("setting", "expected"), [(None, True), ("1", True), ("0", False), ("False", False)])
def test_one_dnn_is_used_unless_turned_off(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, expected: bool
) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if setting is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", setting)
    assert machine.uses_one_dnn() is expected
