"""The README's list of rules is that of ``rules.toml``; run as a module, this file writes it anew."""

from pathlib import Path

import fcrn_mobile
from fcrn_mobile.doctor.rules import GROUPS, rules

README = Path(fcrn_mobile.__file__).parent / "doctor" / "README.md"
BEGIN, END = "<!-- rules -->\n", "\n<!-- end of rules -->"


def table() -> str:
    lines: list[str] = []
    for group, title in GROUPS.items():
        lines += [
            f"### {title[0].upper()}{title[1:]}",
            "",
            "| rule | severity | what a user sees | remedy | sources |",
            "|---|---|---|---|---|",
        ]
        for rule in rules().values():
            if rule.group == group:
                doubt = "" if rule.confirmed else ", not confirmed"
                links = ", ".join(f"[{number}]({source.url})" for number, source in enumerate(rule.sources, 1))
                cells = (f"`{rule.id}`", rule.severity + doubt, rule.symptom, rule.remedy, links)
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def rewritten(text: str) -> str:
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def test_the_readme_lists_the_rules() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == rewritten(text)


def test_what_was_judged_by_hand_names_rules_that_there_are() -> None:
    judged = README.read_text(encoding="utf-8").split("## Judged by hand")[1].split("\n## ")[0]
    rows = [line.split("|")[2].strip(" `") for line in judged.splitlines() if line.startswith("| ") and "`" in line.split("|")[2]]
    assert len(rows) > 40
    assert set(rows) <= set(rules())


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
