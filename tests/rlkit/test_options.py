"""Options: declarations are read from source, values are checked with one clear sentence."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import pytest

from rlkit.options import ConfigError, Option, check, declared, describe, nearest, option


@dataclass(frozen=True)
class EngineOptions:
    mass: float = option("how heavy", unit="kg", above=0, high=10)
    cylinders: int = option("how many", low=1)
    turbo: bool = option("blow")
    fuel: Literal["diesel", "petrol"] = option("what it burns")
    limit: float | None = option("speed limit", unit="m/s", low=0)
    gears: tuple[int, ...] = option("teeth of each gear", low=3)


class Engine:
    def __init__(self, input_size: int, width: int, *, rate: float = 0.5, cell: "Engine" = None):
        pass


class Bare:
    pass


GOOD = {
    "mass": 2,
    "cylinders": 4,
    "turbo": True,
    "fuel": "diesel",
    "limit": None,
    "gears": [3, 17],
}


def engine() -> dict[str, Option]:
    return declared(f"{__name__}:EngineOptions")


@pytest.mark.parametrize(
    "target", ["agents.dau:DAUOptions", "agents.ddpg:DDPGOptions", "rlkit.memory.none:NoMemory"]
)
def test_a_declaration_is_read_without_importing_torch(target):
    program = (
        "import sys; from rlkit.options import declared;"
        f"print(len(declared('{target}'))); assert 'torch' not in sys.modules;"
        f"assert '{target.partition(':')[0]}' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1


def test_what_the_source_says_is_what_the_class_declares():
    from agents.dau import DAUOptions

    read = declared("agents.dau:DAUOptions")
    assert list(read) == list(DAUOptions.__dataclass_fields__)
    for name, field in DAUOptions.__dataclass_fields__.items():
        assert read[name] == Option(name, field.type, **field.metadata)


def test_type_unit_and_range_of_a_dataclass_field():
    read = engine()
    assert list(read) == ["mass", "cylinders", "turbo", "fuel", "limit", "gears"]
    assert read["mass"] == Option("mass", float, "how heavy", "kg", high=10, above=0)
    assert read["limit"].type == float | None


def test_a_constructor_declares_by_its_signature():
    read = declared(f"{__name__}:Engine")
    assert list(read) == ["input_size", "width", "rate", "cell"]
    assert read["width"].type is int
    assert read["rate"].default == 0.5
    assert read["cell"].default is None
    check({"width": 3, "input_size": 2}, read, "memory", "m.yaml")
    with pytest.raises(ConfigError, match=r"^memory\.width is missing from m\.yaml$"):
        check({"input_size": 2}, read, "memory", "m.yaml")
    with pytest.raises(ConfigError, match=r"memory\.rate is 'x', but must be a number"):
        check({"width": 3, "input_size": 2, "rate": "x"}, read, "memory", "m.yaml")


def test_a_class_without_constructor_declares_nothing():
    assert declared(f"{__name__}:Bare") == {}


def test_good_values_pass():
    check(GOOD, engine(), "car", "car.yaml")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("mass", 0, "car.mass is 0, but must be a number in (0, 10] (kg)"),
        ("mass", 10.5, "car.mass is 10.5, but must be a number in (0, 10] (kg)"),
        ("mass", float("nan"), "car.mass is nan, but must be a number in (0, 10] (kg)"),
        ("mass", True, "car.mass is True, but must be a number in (0, 10] (kg)"),
        ("mass", "2", "car.mass is '2', but must be a number in (0, 10] (kg)"),
        ("cylinders", True, "car.cylinders is True, but must be a whole number of at least 1"),
        ("cylinders", 4.0, "car.cylinders is 4.0, but must be a whole number of at least 1"),
        ("cylinders", 0, "car.cylinders is 0, but must be a whole number of at least 1"),
        ("turbo", 1, "car.turbo is 1, but must be true or false"),
        ("fuel", "coal", "car.fuel is 'coal', but must be one of diesel, petrol"),
        ("limit", -1.0, "car.limit is -1.0, but must be a number or null of at least 0 (m/s)"),
        ("limit", "fast", "car.limit is 'fast', but must be a number or null of at least 0 (m/s)"),
        ("gears", 5, "car.gears is 5, but must be a list of whole numbers of at least 3"),
        ("gears", [4, 5.5], "car.gears is [4, 5.5], but must be a list of whole numbers"),
        ("gears", [4, 2], "car.gears is [4, 2], but must be a list of whole numbers"),
    ],
)
def test_a_wrong_value_is_answered_with_what_was_given_and_what_is_allowed(name, value, sentence):
    with pytest.raises(ConfigError) as error:
        check({**GOOD, name: value}, engine(), "car", "car.yaml")
    assert str(error.value).startswith(sentence)


def test_an_unknown_key_names_the_nearest_and_the_allowed():
    with pytest.raises(ConfigError) as error:
        check({**GOOD, "cylnders": 4}, engine(), "car", "car.yaml")
    message = str(error.value)
    assert message.startswith("unknown key car.cylnders; did you mean 'cylinders'?")
    assert "car.fuel" in message
    assert "car.yaml" in message


def test_a_missing_key_names_its_file():
    with pytest.raises(ConfigError, match=r"^car\.mass is missing from car\.yaml$"):
        check({k: v for k, v in GOOD.items() if k != "mass"}, engine(), "car", "car.yaml")


def test_no_nearest_for_a_stranger():
    assert nearest("zzz", ["mass", "fuel"]) == ""
    assert nearest("feul", ["mass", "fuel"]) == "; did you mean 'fuel'?"


@pytest.mark.parametrize("target", ["rlkit.nowhere:Thing", "rlkit.noise:Nothing"])
def test_an_unknown_target(target):
    with pytest.raises(ConfigError, match=r"Nothing|nowhere"):
        declared(target)


def test_words_for_a_range():
    assert describe(Option("x", float, above=0, high=1)) == "a number in (0, 1]"
    assert describe(Option("x", int, low=2, unit="steps")) == "a whole number of at least 2 (steps)"
