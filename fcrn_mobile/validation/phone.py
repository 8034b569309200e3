"""What models get of a source's pictures on a phone."""

from collections.abc import Sequence

from fcrn_mobile.data.phone import VIEWS, PhoneView, View, phone_view
from fcrn_mobile.data.source import Source
from fcrn_mobile.errors import InputError
from fcrn_mobile.runtimes import Runtime

__all__ = ["common_view", "phone_frames"]


def phone_frames(source: Source, models: Sequence[Runtime], framing: str) -> PhoneView:
    """What models get of a source's pictures on a phone, or stretched.

    Raises:
        InputError: an unknown framing, models of several sizes or framings, or data whose focal length is not known.
    """
    first, *_ = models
    return phone_view(source, first.input_size, first.contract.framing, common_view(models, framing))


def common_view(models: Sequence[Runtime], framing: str) -> View:
    """A framing by its name, if these models can be shown pictures so.

    Raises:
        InputError: an unknown framing, or models of several sizes or framings.
    """
    view = next((each for each in VIEWS if each == framing), None)
    if view is None:
        raise InputError(f"--framing {framing!r:.80} is none: use one of {', '.join(VIEWS)}")
    first, *others = models
    for model in others:
        if (model.input_size, model.contract.framing) != (first.input_size, first.contract.framing):
            raise InputError(f"'{model.name}' and '{first.name}' take other sizes or framings: give them one by one with --framing")
    return view
