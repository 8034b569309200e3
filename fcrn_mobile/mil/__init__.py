"""Runs the ML program inside an ``.mlpackage`` on any machine; see README.md in this folder."""

from fcrn_mobile.mil.errors import MilError
from fcrn_mobile.mil.program import Program

__all__ = ["MilError", "Program"]
