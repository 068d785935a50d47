"""Who may import whom, and how long a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rlkit.memory import MEMORIES

ROOT = Path(__file__).parents[1]
FOLDERS = ("rlkit", "agents", "envs", "configs")
SCRIPTS = ("train.py", "evaluate.py")
FORBIDDEN = {
    "rlkit": {"agents", "envs", "configs", "hydra", "omegaconf", "tests", "benchmarks"},
    "agents": {"envs", "configs", "hydra", "omegaconf", "tests", "benchmarks"},
    "envs": {"torch", "agents", "configs", "hydra", "omegaconf", "tests", "benchmarks"},
}
RANDOM_STATE = {"rlkit/seeding.py"}


def files(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


def all_files() -> list[Path]:
    return files(*FOLDERS) + [ROOT / s for s in SCRIPTS if (ROOT / s).exists()]


def imported(path: Path) -> set[str]:
    """Full names of all modules imported anywhere in a file, lazily ones included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_is_something_to_look_at():
    assert {"rlkit/options.py", "agents/dau.py"} <= {name(p) for p in all_files()}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder):
    wrong = {
        name(path): sorted(found)
        for path in files(folder)
        if (found := {i.split(".")[0] for i in imported(path)} & FORBIDDEN[folder])
    }
    assert wrong == {}


def test_only_compose_knows_hydra():
    knowing = {
        name(p)
        for p in all_files()
        if {i.split(".")[0] for i in imported(p)} & {"hydra", "omegaconf"}
    }
    assert knowing <= {"configs/compose.py"}


@pytest.mark.parametrize(
    "module", ["rlkit", "rlkit.options", "rlkit.registry", "rlkit.memory", "agents", "envs"]
)
def test_torch_is_not_imported_by(module):
    if not (ROOT / module.replace(".", "/")).with_suffix(".py").exists() and not any(
        (ROOT / module.replace(".", "/")).glob("__init__.py")
    ):
        pytest.skip(f"{module} is not there yet")
    program = f"import sys, {module}; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_environment_module_reaches_torch():
    modules = [name(p)[:-3].replace("/", ".").removesuffix(".__init__") for p in files("envs")]
    if not modules:
        pytest.skip("no environments yet")
    program = f"import sys, {', '.join(modules)}; assert 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("folders", "most"), [(FOLDERS, 300), (("rlkit/memory",), 120)])
def test_files_are_short(folders, most):
    paths = files(*folders) if most == 120 else all_files()
    if most == 120:  # what holds several memories up may be longer
        modules = {MEMORIES.target(n).split(":")[0] for n in MEMORIES.names()}
        paths = [p for p in paths if name(p)[:-3].replace("/", ".") in modules]
    lengths = {name(p): len(p.read_text().splitlines()) for p in paths}
    assert {n: length for n, length in lengths.items() if length > most} == {}


def test_every_module_says_what_it_is():
    assert [name(p) for p in all_files() if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_only_seeding_touches_global_random_state():
    """`torch.manual_seed`, `np.random.seed` and draws from the global NumPy or Python generator."""
    calls = ("torch.manual_seed", "np.random.seed", "random.seed", "numpy.random.seed")
    found = {
        name(p)
        for p in all_files()
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in calls
    }
    assert found <= RANDOM_STATE
