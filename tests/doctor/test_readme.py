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


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
