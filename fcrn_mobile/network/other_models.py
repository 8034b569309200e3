"""Models that are no float network: what a file is, by its name, and the commands that take it."""

from pathlib import Path

from fcrn_mobile.text import enumerated

__all__ = ["not_a_network"]

_CORE_ML = ("a Core ML model", ("run", "inspect", "predict", "validate", "bench"))
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    ".mlmodel": _CORE_ML,
    ".mlpackage": (_CORE_ML[0], (*_CORE_ML[1], "compress")),
    ".mlmodelc": ("a Core ML model that a Mac has compiled", ()),
    ".onnx": ("an ONNX model", ("inspect", "predict", "validate", "bench")),
    ".aimodel": ("a Core AI model", ("inspect", "predict", "validate", "bench")),
    ".pt2": ("a program of torch.export", ("export", "validate")),
    ".tflite": ("a TensorFlow Lite model", ()),
}


def not_a_network(model: str) -> str | None:
    """Why a file holds no weights of a float network: what it is, and who takes it; None if its name says nothing."""
    kind, commands = _KINDS.get(Path(model).suffix.lower(), ("", ()))
    if not kind:
        return None
    takers = f", which {enumerated(list(commands), 'and')} take" if commands else ""
    return f"'{model}' is {kind}{takers}, and no checkpoint of a float network"
