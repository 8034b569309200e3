"""Where Core AI exists: everywhere else its tests skip. Where it exists and is not installed, they fail."""

import platform
import sys

import pytest


def _has_wheel() -> bool:
    if sys.platform == "darwin":
        return platform.machine() == "arm64" and int(platform.mac_ver()[0].split(".")[0]) >= 26
    return sys.platform == "linux" and platform.machine() == "x86_64"


needs_coreai = pytest.mark.skipif(not _has_wheel(), reason="Core AI has no wheel for this system")
