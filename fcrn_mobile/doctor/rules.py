"""Published hazards as data (``rules.toml``): what is wrong, how bad, what to do, who says so, and whether anybody confirmed it."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from fcrn_mobile.latency.placement import case_sources
from fcrn_mobile.mil.traits import SOURCES, TRAITS
from fcrn_mobile.sources import Source, sources

__all__ = ["GROUPS", "RULES", "SEVERITIES", "Group", "Rule", "Severity", "rules"]

RULES = Path(__file__).with_name("rules.toml")

#: ``error``: it does not load, or its results are wrong. ``warning``: wrong for some values or on some chips, or slower than it could be.
#: ``note``: worth knowing.
Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
Group = Literal["load", "values", "engine", "size", "app"]
#: What each group of rules is about.
GROUPS: dict[Group, str] = {
    "load": "what Core ML refuses to load",
    "values": "what turns out wrong without a word",
    "engine": "what leaves the Neural Engine or splits the graph",
    "size": "what is large, slow to load or no faster",
    "app": "what the app meets",
}


@dataclass(frozen=True)
class Rule:
    """One hazard.

    Attributes:
        id: its name, stable.
        group: what it is about, see ``GROUPS``.
        severity: how bad it is where it was found.
        symptom: what a user sees.
        remedy: what to do.
        sources: who published it.
        confirmed: whether somebody saw it in Core ML or on a chip, or Apple says it; else it is a guess or follows from arithmetic.
        case: the case of a published rule of placement that it stands for; None for none, empty for an operator as such.
    """

    id: str
    group: Group
    severity: Severity
    symptom: str
    remedy: str
    sources: tuple[Source, ...]
    confirmed: bool
    case: str | None = None


@cache
def rules() -> dict[str, Rule]:
    """All of them by their names, in the order of the table; those of placement name the sources of that table."""
    table = tomllib.loads(RULES.read_text(encoding="utf-8"))
    publications = SOURCES | sources(table["sources"])
    listed = {}
    for entry in table["rule"]:
        if trait := TRAITS.get(entry.pop("trait", "")):
            entry |= {key: entry[key].format(limit=trait.limit) for key in ("symptom", "remedy")}
            entry.setdefault("sources", trait.sources)
        named = tuple(publications[key] for key in entry.pop("sources", ()))
        case = entry.get("case")
        placed = case_sources(case) if case is not None else ()
        listed[entry["id"]] = Rule(**entry, sources=tuple(dict.fromkeys(named + placed)))
    return listed
