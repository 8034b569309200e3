"""``nonMaximumSuppression``: the end of a detector, as coremltools, mlmodel/format/NonMaximumSuppression.proto has it."""

from dataclasses import replace

from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Reference
from fcrn_mobile.mil.parts import Parts, Source, class_labels, described, single
from fcrn_mobile.mil.shapes import ShapeRule
from fcrn_mobile.package.errors import DAMAGED, MilError

__all__ = ["read"]


def read(source: Source) -> Parts:
    """Confidence and coordinates of boxes in, those of the ones that stay out; both thresholds may be inputs, and then have a default.

    Raises:
        MilError: an input or output is missing, superfluous or of another type; a threshold that none is; labels that do not fit.
    """
    model, where = source.model.nonMaximumSuppression, source.where
    inputs, outputs = described(source)
    thresholds = {"iou_threshold": model.iouThreshold, "confidence_threshold": model.confidenceThreshold}
    if not (0 <= model.iouThreshold <= 1 and model.confidenceThreshold >= 0):
        raise MilError(f"'{where}' has thresholds of {', '.join(f'{value:g}' for value in thresholds.values())}: {DAMAGED}")
    names = {
        "confidence": model.confidenceInputFeatureName,
        "coordinates": model.coordinatesInputFeatureName,
        "iou_threshold": model.iouThresholdInputFeatureName,
        "confidence_threshold": model.confidenceThresholdInputFeatureName,
    }
    results = {"confidence": model.confidenceOutputFeatureName, "coordinates": model.coordinatesOutputFeatureName}
    reads, gives = _by_role(inputs, names, where), _by_role(outputs, results, where)
    labels = class_labels(model, where)
    confidence, coordinates = gives["confidence"], gives["coordinates"]
    least, most = _rows(confidence) or _rows(coordinates) or (0, None)
    if labels and len(confidence.shape) == 2 and not confidence.shapes.ranges and confidence.shape[1] != len(labels):
        raise MilError(f"'{where}' has {len(labels)} class labels for {confidence.shape[1]} classes: {DAMAGED}")
    optional = {names[role]: value for role, value in thresholds.items() if names[role]}
    arguments = {role: Reference(names[role]) if names[role] else value for role, value in thresholds.items()}
    arguments |= {role: Reference(names[role]) for role in results}
    arguments |= {"per_class": model.pickTop.perClass, "least": least, "most": most}
    features = [replace(feature, default=optional.get(feature.name, feature.default)) for feature in inputs]
    # In pipelines of Ultralytics the stage's thresholds are named, and described as the pipeline's inputs alone.
    hidden = [role for role in thresholds if names[role] and role not in reads]
    features += [Feature(names[role], "number", "DOUBLE", ShapeRule(()), default=thresholds[role]) for role in hidden]
    return single(source, arguments, features, (replace(confidence, labels=labels), coordinates))


def _by_role(features: tuple[Feature, ...], names: dict[str, str], where: str) -> dict[str, Feature]:
    """Features by the role that their names have in the model; each has one, and arrays have to be there."""
    roles = {name: role for role, name in names.items() if name}
    for feature in features:
        kind = "number" if roles.get(feature.name, "").endswith("threshold") else "array"
        if feature.name not in roles or feature.kind != kind:
            raise MilError(f"'{where}' does not suppress boxes by {feature.name!r}, {feature.type_text}: {DAMAGED}")
    by_role = {roles[feature.name]: feature for feature in features}
    if missing := {"confidence", "coordinates"} - set(by_role):
        raise MilError(f"'{where}' does not describe its {min(missing)}, {names[min(missing)][:80]!r}: {DAMAGED}")
    return by_role


def _rows(feature: Feature) -> tuple[int, int | None] | None:
    """Least and largest number of rows that an output may have; None if it does not say."""
    if feature.shapes.ranges:
        return feature.shapes.ranges[0]
    return (feature.shape[0], feature.shape[0]) if len(feature.shape) == 2 and not feature.shapes.enumerated else None
