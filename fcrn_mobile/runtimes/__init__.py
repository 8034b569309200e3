"""One interface over everything that turns an image into depth."""

from fcrn_mobile.runtimes.runtime import BACKENDS, FindsOverflow, Runtime, open_runtime

__all__ = ["BACKENDS", "FindsOverflow", "Runtime", "open_runtime"]
