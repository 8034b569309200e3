"""One interface over everything that turns an image into depth."""

from fcrn_mobile.runtimes.opening import BACKENDS, open_runtime
from fcrn_mobile.runtimes.runtime import FindsOverflow, Runtime

__all__ = ["BACKENDS", "FindsOverflow", "Runtime", "open_runtime"]
