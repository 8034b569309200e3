"""Outcomes as JUnit XML, which GitHub's, GitLab's and Jenkins' test reports read: a suite per validation, a test case per budget."""

import math
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from fcrn_mobile.report.gate import Outcome

__all__ = ["junit"]

#: What XML 1.0 has no character for (W3C, section 2.2).
_NO_CHARACTER = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(outcomes: Sequence[Outcome]) -> str:
    """The document; a broken budget is a failure of its metric's type, a candidate without one is skipped."""
    root = ElementTree.Element("testsuites", name="fcrn-mobile")
    for outcome in outcomes:
        cases, seconds = outcome.cases, outcome.validation.seconds
        suite = ElementTree.SubElement(root, "testsuite", name=_text(outcome.title), tests=str(len(cases)), errors="0")
        suite.set("failures", str(sum(case.held is False for case in cases)))
        suite.set("skipped", str(sum(case.held is None for case in cases)))
        suite.set("time", f"{seconds if math.isfinite(seconds) else 0:.3f}")
        for case in cases:
            name = _text(case.limit or case.metric or "budget")
            item = ElementTree.SubElement(suite, "testcase", classname=_text(case.model), name=name, file=_text(case.path))
            if case.held is False:
                failure = ElementTree.SubElement(item, "failure", type=case.metric, message=_text(case.text))
                facts = {"model": case.path, "metric": case.metric, "operator": case.operator or "not known"}
                failure.text = _text("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
            elif case.held is None:
                ElementTree.SubElement(item, "skipped", message=_text(case.text))
        if outcome.validation.warnings:
            ElementTree.SubElement(suite, "system-out").text = _text("\n".join(outcome.validation.warnings))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _text(text: str) -> str:
    return _NO_CHARACTER.sub("\ufffd", text)
