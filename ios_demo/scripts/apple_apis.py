"""Compare the Apple APIs that DepthDemo uses with the iOS version each needs (``api_availability.toml``).

A type-check against stub modules does not see availability. What the app uses is found in two ways: the stub modules hold all that it
takes from the frameworks they stand for, or it would not type-check; of Foundation and Swift's own library, which Linux has itself, every
name in its sources counts that neither the project nor a stub declares.

    .venv/bin/python ios_demo/scripts/apple_apis.py ios_demo
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_swift
from tree_sitter import Language, Node, Parser

TABLE = Path("api_availability.toml")
#: Part of the table with names that no stub declares.
LIBRARIES = "Foundation, Swift"
#: Declared by stubs for the compiler's sake; nothing that an app calls by name.
PLUMBING = re.compile(r"PrimitiveView|_ConditionalContent|^Never|^Optional|ViewBuilder\.|\.body$|\.main\(\)|AsyncIterator|makeIterator\(\)")
#: Words of the language that the grammar takes for names.
_WORDS = {"Self", "async", "defer", "oldValue", "some", "testable", "unchecked", "yield", "simulator"}
#: Kinds of nodes that declare something.
_DECLARATIONS = {
    "class_declaration", "protocol_declaration", "function_declaration", "protocol_function_declaration", "property_declaration",
    "protocol_property_declaration", "init_declaration", "subscript_declaration", "typealias_declaration", "enum_entry",
}  # fmt: skip

#: Kinds of nodes whose own children are new names; types stand deeper.
_BINDING = {
    "parameter", "lambda_parameter", "type_parameter", "value_argument_label", "macro_invocation", "for_statement", "if_statement",
    "guard_statement", "capture_list_item", "switch_pattern", "catch_block",
}  # fmt: skip

Version = tuple[int, int]


@dataclass(frozen=True)
class Use:
    """A name in the app's sources, and the oldest iOS that gets there (0.0 if nothing guards it)."""

    name: str
    place: str
    guard: Version


def version(text: str) -> Version:
    """17.0 of "17" or "17.0"."""
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


def read_table(demo: Path) -> dict[str, dict[str, Version]]:
    """Framework → symbol → version."""
    parts = tomllib.loads((demo / TABLE).read_text())
    return {part: {name: version(needed) for name, needed in symbols.items()} for part, symbols in parts.items()}


def deployment_target(demo: Path) -> Version:
    """As the project's settings say."""
    (found,) = re.findall(r"^IPHONEOS_DEPLOYMENT_TARGET = ([\d.]+)$", (demo / "Config/Project.xcconfig").read_text(), re.MULTILINE)
    return version(found)


def stubbed(demo: Path) -> dict[str, set[str]]:
    """Framework → the symbols that its stub declares, such as ``MLModel.init(contentsOf:configuration:)``."""
    return {
        stub.stem: {name for name in _declared(_parse(stub), ()) if not PLUMBING.search(name)}
        for stub in sorted((demo / "LinuxStubs").glob("*.swift"))
    }


def foreign_names(demo: Path) -> set[str]:
    """Names in the app's sources that neither the project nor a stub declares."""
    app = _sources(demo, "DepthDemo", "DepthDemoTests")
    known = {name for path in (*app, *_sources(demo, "DepthCore/Sources/DepthCore")) for name in _bound(_walk(_parse(path)))}
    known |= {name for stub in _sources(demo, "LinuxStubs") for name in _bound(_surface(_parse(stub)))}
    return {use.name for use in uses(demo) if use.name[0] not in "$_"} - known - _WORDS


def uses(demo: Path) -> list[Use]:
    """Every name in the sources of the app and its tests."""
    return [use for path in _sources(demo, "DepthDemo", "DepthDemoTests") for use in _uses(_parse(path), path.name, (0, 0))]


def faults(demo: Path) -> list[str]:
    """What is missing in the table, stands there for nothing, or needs a newer iOS than the app is built for; one line each."""
    table, target, found = read_table(demo), deployment_target(demo), []
    expected = stubbed(demo) | {LIBRARIES: foreign_names(demo)}
    for part in sorted({*table, *expected}):
        listed, needed = set(table.get(part, {})), expected.get(part, set())
        found += [f"{part}: '{name}' has no iOS version: add it to {TABLE}" for name in sorted(needed - listed)]
        found += [f"{part}: '{name}' is used nowhere: take it out of {TABLE}" for name in sorted(listed - needed)]
    # A word that the project also gives to something of its own, such as "name", says nothing about where it is used.
    own = {name for path in _sources(demo, "DepthDemo", "DepthCore/Sources/DepthCore") for name in _bound(_walk(_parse(path)))}
    listed_names = [(name, needed) for symbols in table.values() for name, needed in symbols.items()]
    newer = {_last(name): (name, needed) for name, needed in listed_names if needed > target and _last(name) not in own}
    for use in uses(demo):
        name, needed = newer.get(use.name, ("", (0, 0)))
        if needed > use.guard:
            found.append(f"{use.place}: '{name}' needs iOS {_shown(needed)}, the app runs on {_shown(target)}: guard it by #available")
    return found


def _sources(demo: Path, *folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((demo / folder).rglob("*.swift")) if "Example" not in path.parts]


def _parse(path: Path) -> Node:
    return Parser(Language(tree_sitter_swift.language())).parse(path.read_bytes()).root_node


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _declared(node: Node, outer: tuple[str, ...]) -> Iterator[str]:
    """Qualified names of what a stub declares, with argument labels."""
    for child in node.named_children:
        if child.type not in _DECLARATIONS:
            yield from _declared(child, outer)
            continue
        if _is_control(child):
            continue
        for name in _names(child):
            if not _is_extension(child):
                yield ".".join((*outer, name))
            body = child.child_by_field_name("body")
            if body is not None and child.type in ("class_declaration", "protocol_declaration"):
                yield from _declared(body, (*outer, name))


def _is_control(node: Node) -> bool:
    """Whether a stub declares it for tests and for itself: what stands for an API is public, or belongs to something public."""
    if node.type == "enum_entry" or (node.type.startswith("protocol_") and node.type != "protocol_declaration"):
        return False
    words = {_text(word) for part in node.children if part.type == "modifiers" for word in _walk(part)}
    is_requirement = node.parent is not None and node.parent.type == "protocol_body"
    return not (words & {"public", "open"} or is_requirement or _is_extension(node))


def _is_extension(node: Node) -> bool:
    return node.type == "class_declaration" and any(_text(part) == "extension" for part in node.children)


def _names(node: Node) -> list[str]:
    """What a declaration calls the things that it declares."""
    if node.type == "init_declaration":
        return [f"init({_labels(node)})"]
    if node.type == "subscript_declaration":
        return [f"subscript({_labels(node)})"]
    if node.type == "enum_entry":
        return [_text(name) for name in node.children_by_field_name("name")]
    if node.type.endswith("property_declaration"):
        return [_text(part).partition(":")[0].removeprefix("var ").strip() for part in node.children_by_field_name("name")]
    name = node.child_by_field_name("name")
    if name is None:
        return []
    plain = _text(name).strip("`")
    return [f"{plain}({_labels(node)})" if "function" in node.type else plain]


def _labels(node: Node) -> str:
    labels = ""
    for parameter in node.named_children:
        if parameter.type == "parameter":
            labels += _text(parameter).split(":")[0].split()[0] + ":"
    return labels


def _last(name: str) -> str:
    """What stands in sources: ``compileModel`` of ``MLModel.compileModel(at:)``, the type of an initialiser."""
    *outer, last = name.partition("(")[0].split(".")
    return outer[-1] if last == "init" and outer else last


def _bound(nodes: Iterator[Node]) -> Iterator[str]:
    """Names that parts of a file give to something, argument labels included."""
    for node in nodes:
        if node.type in _DECLARATIONS and not _is_extension(node):
            yield from (re.split(r"[(:]", name)[0].strip("`") for name in _names(node))
        if node.type in _BINDING:
            yield from (_text(part) for part in node.named_children if part.type in ("simple_identifier", "type_identifier"))
        if node.type == "pattern":
            yield from (_text(part) for part in _walk(node) if part.type == "simple_identifier")
        if node.type == "import_declaration":
            yield from (_text(part) for part in _walk(node) if part.type == "simple_identifier")


def _uses(node: Node, file: str, guard: Version) -> Iterator[Use]:
    if node.type in ("simple_identifier", "type_identifier"):
        yield Use(_text(node).strip("`"), f"{file}:{node.start_point.row + 1}", guard)
    within = guard
    for child in node.children:
        if child.type in ("availability_condition", "modifiers", "attribute"):
            within = max(within, _promised(child))
        if child.type == "else":
            within = guard
        if child.type != "availability_condition" and not (child.type == "attribute" and _promised(child) > (0, 0)):
            yield from _uses(child, file, within)
        if child.type == "guard_statement":  # what it asks for holds in the lines after it
            within = max(within, *(_promised(part) for part in child.children if part.type == "availability_condition"), (0, 0))


def _promised(node: Node) -> Version:
    """The iOS that ``#available`` or ``@available`` names; 0.0 if it names none."""
    found = re.search(r"available\(.*?iOS (\d+(?:\.\d+)?)", _text(node))
    return version(found[1]) if found else (0, 0)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _surface(node: Node) -> Iterator[Node]:
    """Of a stub only what it declares of Apple's: neither controls nor what stands in functions."""
    yield node
    for child in node.children:
        if child.type not in ("function_body", "computed_property") and not (child.type in _DECLARATIONS and _is_control(child)):
            yield from _surface(child)


def _shown(number: Version) -> str:
    return f"{number[0]}.{number[1]}"


def main(demo: Path) -> int:
    found = faults(demo)
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{sum(map(len, read_table(demo).values()))} APIs, all in iOS {_shown(deployment_target(demo))}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
