"""Registry: names become classes late, collisions and misses are loud."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlkit.options import ConfigError
from rlkit.registry import Registry


class Local:
    pass


def plugs() -> Registry:
    return Registry("plug", {"path": "pathlib:Path", "gone": "no_such_module_anywhere:X"})


def test_load_gives_the_class_and_target_its_address():
    assert plugs().load("path") is Path
    assert plugs().target("path") == "pathlib:Path"


def test_nothing_is_imported_before_load():
    registry = plugs()
    assert registry.names() == ["gone", "path"]
    with pytest.raises(ModuleNotFoundError):
        registry.load("gone")


def test_register_adds_a_class_of_the_running_program():
    registry = plugs()
    assert registry.register("local")(Local) is Local
    assert registry.load("local") is Local
    assert registry.target("local") == f"{__name__}:Local"
    assert registry.names() == ["gone", "local", "path"]


def test_a_second_registration_is_refused():
    registry = plugs()
    with pytest.raises(ValueError, match="plug 'path' is already registered"):
        registry.register("path")(Local)
    assert registry.load("path") is Path


def test_a_miss_lists_the_names_and_the_nearest():
    with pytest.raises(ConfigError) as error:
        plugs().load("pth")
    assert str(error.value) == "unknown plug 'pth'; did you mean 'path'? (allowed: gone, path)"


@pytest.mark.parametrize(("package", "count"), [("agents", 3), ("rlkit.memory", 1)])
def test_registries_list_without_torch(package, count):
    program = (
        f"import sys, {package} as p; from rlkit.registry import Registry;"
        "r = next(v for v in vars(p).values() if isinstance(v, Registry));"
        f"assert len(r.names()) >= {count}; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_memory_options_are_checked_against_the_constructor():
    from rlkit.memory import check_memory, make_memory

    check_memory("none", {})
    assert make_memory("none", 3).output_size == 3
    with pytest.raises(ConfigError, match=r"unknown key memory\.size .*configs/memory/none\.yaml"):
        check_memory("none", {"size": 3})
    with pytest.raises(ConfigError, match=r"unknown memory 'nome'; did you mean 'none'\?"):
        check_memory("nome", {})


def test_a_memory_defined_in_a_script_can_be_checked(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        "from rlkit.memory import check_memory, register\n"
        "@register('mine')\n"
        "class Mine:\n"
        "    def __init__(self, input_size: int, width: int): pass\n"
        "check_memory('mine', {'width': 3})\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
