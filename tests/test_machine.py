"""Precision and threads, from what the machine says of itself."""

import pytest

from pawline import machine
from pawline.errors import ParamsError


@pytest.mark.parametrize(
    ("flags", "wanted", "chosen"),
    [
        ({"amx_bf16", "avx512_bf16"}, "auto", "bfloat16"),
        ({"avx512_bf16", "GenuineIntel"}, "auto", "float32"),  # which is faster there
        ({"avx512_bf16", "AuthenticAMD"}, "auto", "bfloat16"),
        ({"avx512f", "AuthenticAMD"}, "auto", "float32"),
        (set(), "auto", "float32"),
        ({"avx512_bf16"}, "bfloat16", "bfloat16"),
        ({"amx_bf16"}, "float32", "float32"),
    ],
)
def test_precision_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], wanted: str, chosen: str
) -> None:
    monkeypatch.setattr(machine, "_able", lambda: frozenset(flags))
    assert machine.choose_precision(wanted) == chosen


def test_processor_and_maker_are_read_as_linux_tells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512_bf16\n\n"
    monkeypatch.setattr(machine.Path, "read_text", lambda path: told * 2)
    monkeypatch.setattr(machine.Path, "is_dir", lambda path: False)
    assert machine._able.__wrapped__() == {"AuthenticAMD", "fpu", "avx512_bf16"}


def test_a_precision_that_the_machine_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_able", lambda: frozenset({"avx2"}))
    with pytest.raises(ParamsError, match=r"train.precision is bfloat16, which this machine cannot compute in"):
        machine.choose_precision("bfloat16")


@pytest.mark.parametrize(
    ("driver", "libraries", "visible", "usable"),
    [
        (True, True, None, True),
        (True, True, "0", True),
        (True, True, "", False),
        (True, True, "-1", False),
        (True, False, None, False),  # as `make setup` leaves it, without the extra `gpu`
        (False, True, None, False),
    ],
)
def test_a_gpu_counts_where_tensorflow_can_use_it(
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
    ("able", "told"),
    [
        ({"AuthenticAMD", "avx2"}, "AuthenticAMD avx2"),
        ({"GenuineIntel", "avx2", "avx512f", "avx512_vnni"}, "GenuineIntel avx512_vnni"),
        ({"AuthenticAMD", "avx2", machine.GPU}, "AuthenticAMD avx2 an NVIDIA GPU"),
    ],
)
def test_the_kind_of_processor_is_told(monkeypatch: pytest.MonkeyPatch, able: set[str], told: str) -> None:
    monkeypatch.setattr(machine, "_able", lambda: frozenset(able))
    assert machine.processor() == told


@pytest.mark.parametrize(("setting", "used"), [(None, True), ("1", True), ("0", False), ("False", False)])
def test_one_dnn_is_used_unless_turned_off(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, used: bool
) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if setting is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", setting)
    assert machine.uses_one_dnn() is used


@pytest.mark.parametrize(
    ("limit", "threads"), [("max 100000", 4), ("150000 100000", 2), ("800000 100000", 4), (None, 4)]
)
def test_threads_are_those_that_the_container_is_granted(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, threads: int
) -> None:
    def read_text(path: object) -> str:
        if limit is None:
            raise FileNotFoundError
        return limit

    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(machine.Path, "read_text", read_text)
    assert machine.num_threads() == threads
