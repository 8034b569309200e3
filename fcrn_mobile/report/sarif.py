"""Findings as SARIF 2.1.0, which code review tools read (docs.oasis-open.org/sarif/sarif/v2.1.0)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal
from urllib.parse import quote

import fcrn_mobile

__all__ = ["SCHEMA", "Level", "SarifResult", "SarifRule", "sarif"]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"

#: How bad a result is, §3.27.10.
Level = Literal["error", "warning", "note", "none"]


@dataclass(frozen=True)
class SarifRule:
    """What a result can be about.

    Attributes:
        id: stable, opaque, such as ``softplus``.
        text: what it says, one sentence.
        help: the remedy; may be empty.
        url: where more stands; may be empty.
    """

    id: str
    text: str
    help: str = ""
    url: str = ""


@dataclass(frozen=True)
class SarifResult:
    """One finding.

    Attributes:
        rule: ``id`` of its rule.
        level: how bad it is.
        message: for people.
        path: the file it is about; a path that is relative is relative to where the tool ran.
        line: in that file, from 1; None for the whole of it.
        place: what in the file it is about where lines mean nothing, such as an operator's name; may be empty.
    """

    rule: str
    level: Level
    message: str
    path: str | PurePath
    line: int | None = None
    place: str = ""


def sarif(rules: Sequence[SarifRule], results: Sequence[SarifResult], tool: str = "fcrn-mobile") -> dict[str, Any]:
    """A log of one run, for ``json_text``.

    Args:
        rules: every one that a result names, and any others.
        results: findings in order.
        tool: who found them.

    Raises:
        KeyError: a result names a rule that is not there.
    """
    index = {rule.id: number for number, rule in enumerate(rules)}
    driver = {"name": tool, "version": fcrn_mobile.__version__, "rules": list(map(_rule, rules))}
    listed = [_result(result, index[result.rule]) for result in results]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": listed}]}


def _rule(rule: SarifRule) -> dict[str, Any]:
    texts = {"shortDescription": rule.text, "help": rule.help}
    described = {key: {"text": text} for key, text in texts.items() if text}
    return {"id": rule.id, **described, **({"helpUri": rule.url} if rule.url else {})}


def _result(result: SarifResult, index: int) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(result.path)}}
    if result.line is not None:
        physical["region"] = {"startLine": result.line}
    location: dict[str, Any] = {"physicalLocation": physical}
    if result.place:
        location["logicalLocations"] = [{"fullyQualifiedName": result.place}]
    message = {"text": result.message}
    return {"ruleId": result.rule, "ruleIndex": index, "level": result.level, "message": message, "locations": [location]}


def _uri(path: str | PurePath) -> str:
    """A path as a URI reference (§3.4.3): relative ones stay so, absolute ones name the scheme."""
    return Path(path).as_uri() if Path(path).is_absolute() else quote(os.fsencode(PurePath(path).as_posix()))
