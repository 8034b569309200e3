"""One interface over everything that turns an image into depth."""

from fcrn_mobile.runtimes.runtime import BACKENDS, Runtime, open_runtime

__all__ = ["BACKENDS", "Runtime", "open_runtime"]
