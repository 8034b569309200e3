"""Who answers coremltools where it asks Core ML's framework."""

import sys

import pytest

from fcrn_mobile.package.framework import answered_by
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    from coremltools import _deps
    from coremltools.models import model as models
    from coremltools.models import utils

COMPILED = "coremltools.libcoremlpython"


class Model:
    """In place of the framework's."""


class Asset:
    """In place of a model in memory."""


def answers() -> tuple[object, ...]:
    return (
        models._MLModelProxy,
        models._MLModelAssetProxy,
        _deps._IS_MACOS,
        utils._is_macos(),
        utils._macos_version(),
        COMPILED in sys.modules,
    )


@pytest.mark.parametrize("fails", [False, True])
def test_all_is_as_on_the_newest_mac_within_and_as_before_after(fails: bool) -> None:
    before, compiled = answers(), sys.modules.get(COMPILED)
    try:
        with answered_by(Model, Asset):
            assert answers() == (Model, Asset, True, True, (26, 0), True)
            from coremltools import libcoremlpython

            assert (libcoremlpython._MLModelProxy, libcoremlpython._MLModelAssetProxy) == (Model, Asset)
            assert sys.modules[COMPILED] is libcoremlpython
            if fails:
                raise ValueError
    except ValueError:
        assert fails
    assert answers() == before
    assert sys.modules.get(COMPILED) is compiled
