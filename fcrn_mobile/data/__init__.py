"""RGB-D sources, joint transforms of image and depth, and the built-in sample set."""

from fcrn_mobile.data.source import Sample, Source
from fcrn_mobile.data.spec import open_source

__all__ = ["Sample", "Source", "open_source"]
