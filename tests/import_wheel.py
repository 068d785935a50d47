"""Imports every module of the installed wheel; run outside the checkout, with -P."""

import importlib
import importlib.util
import pkgutil
from pathlib import Path

import rlkit

home = Path(rlkit.__file__).parent
assert "site-packages" in str(home), f"this is not the installed wheel: {home}"
for name in ("agents", "envs", "configs"):
    assert importlib.util.find_spec(name) is None, f"the wheel must not carry {name}"
modules = [m.name for m in pkgutil.walk_packages([str(home)], "rlkit.")]
for module in modules:
    importlib.import_module(module)
print(f"{len(modules)} modules of the wheel import without the checkout")
