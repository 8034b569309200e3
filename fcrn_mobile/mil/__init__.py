"""Runs the ML program inside an ``.mlpackage`` on any machine; see README.md in this folder."""

from fcrn_mobile.mil.program import Program
from fcrn_mobile.mil.simulated import simulated_core_ml
from fcrn_mobile.package.errors import MilError

__all__ = ["MilError", "Program", "simulated_core_ml"]
