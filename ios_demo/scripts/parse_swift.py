"""Parse every Swift file below a folder and name the places that are not Swift; for machines without a compiler.

python ios_demo/scripts/parse_swift.py ios_demo
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_swift
from tree_sitter import Language, Node, Parser


def broken(node: Node) -> Iterator[Node]:
    """The places where the grammar does not fit."""
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from broken(child)


def main(folder: Path) -> int:
    parser = Parser(Language(tree_sitter_swift.language()))
    sources = sorted(folder.rglob("*.swift"))
    faults = 0
    for source in sources:
        for node in broken(parser.parse(source.read_bytes()).root_node):
            faults += 1
            print(f"{source}:{node.start_point.row + 1}:{node.start_point.column + 1}: does not parse", file=sys.stderr)
    print(f"parsed {len(sources)} Swift files, {faults} faults")
    return 1 if faults or not sources else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
