"""Systems, by the version of the specification that each brought (coremltools, Model.proto)."""

__all__ = ["IOS16", "IOS17", "IOS18", "IOS26", "opset"]

IOS16, IOS17, IOS18, IOS26 = 7, 8, 9, 10


def opset(specification: int) -> int:
    """Number of the operator set that came with a specification: 5 with that of iOS 15, which is 6."""
    return specification - 1
