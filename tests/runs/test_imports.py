"""A run's folder is read without the libraries that trained it."""

import subprocess
import sys

#: Imports every module of runs/, and says which of the libraries that train came along.
PROGRAM = """
import importlib, pkgutil, sys
import fcrn_mobile.runs
for module in pkgutil.iter_modules(fcrn_mobile.runs.__path__):
    importlib.import_module(f"fcrn_mobile.runs.{module.name}")
print(*sorted({"torch", "lightning", "matplotlib"} & set(sys.modules)))
"""


def test_no_module_of_runs_imports_a_library_that_trains_or_draws() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
