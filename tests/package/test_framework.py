"""Who answers coremltools where it asks Core ML's framework."""

import sys
from types import ModuleType

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


def test_a_framework_that_is_there_is_there_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ModuleType(COMPILED)
    monkeypatch.setitem(sys.modules, COMPILED, own)
    monkeypatch.setattr(sys.modules["coremltools"], "libcoremlpython", own, raising=False)
    with answered_by(Model, Asset):
        assert sys.modules[COMPILED] is sys.modules["coremltools"].libcoremlpython is not own
    assert sys.modules[COMPILED] is sys.modules["coremltools"].libcoremlpython is own


def test_modules_of_coremltools_that_hold_the_same_are_answered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of others, nor what one holds of its own under such a name."""
    names = ("coremltools.of_a_test", "coremltools_of_others", "coremltools.with_its_own")
    before = models._MLModelProxy
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        vars(sys.modules[name])["_MLModelProxy"] = "own" if name == names[2] else before

    def held() -> list[object]:
        return [vars(sys.modules[name])["_MLModelProxy"] for name in names]

    with answered_by(Model, Asset):
        assert held() == [Model, before, "own"]
        assert "_MLModelAssetProxy" not in vars(sys.modules[names[0]])
    assert held() == [before, before, "own"]
