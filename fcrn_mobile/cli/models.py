"""A reference and candidates, opened as every command opens them that holds models beside one another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fcrn_mobile.mil.arithmetic import Arithmetic
    from fcrn_mobile.package.metadata import ModelConfigs
    from fcrn_mobile.runtimes import Runtime

__all__ = ["open_beside"]


def open_beside(
    reference: str,
    candidates: Sequence[str],
    backend: str,
    arithmetics: "Sequence[Arithmetic]",
    configs: "ModelConfigs",
    size: tuple[int, int] | None,
) -> "tuple[Runtime, list[Runtime]]":
    """The reference in float32, and each candidate under each arithmetic, which then stands in its name if there are several.

    Args:
        reference, candidates: as ``open_runtime`` takes them.
        backend: of the candidates.
        arithmetics: of ``mil.arithmetic``.
        configs: model configs, as ``model_configs`` gives them.
        size: of pictures, of models that take several.

    Raises:
        InputError: a model that cannot be opened.
    """
    from fcrn_mobile.runtimes import open_runtime

    runtimes = [
        open_runtime(path, backend, arithmetic, model_config=configs.of(path), size=size)
        for arithmetic in arithmetics
        for path in candidates
    ]
    for index, runtime in enumerate(runtimes if len(arithmetics) > 1 else ()):
        runtime.name += f" ({arithmetics[index // len(candidates)]})"
    return open_runtime(reference, arithmetic="float32", model_config=configs.of(reference), size=size), runtimes
