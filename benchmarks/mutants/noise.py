"""Places where a mutation says nothing about the tests; README.md lists them with the reasons."""

from typing import Any

#: Switches that guard against our own mistakes or change speed alone: flipping them changes no result of correct code.
_SWITCHES = ("strict", "frozen", "slots", "repr", "check", "exist_ok", "parents", "init")
#: Decorators whose removal fails at once on every use.
_DECORATORS = ("dataclass", "property", "overload", "staticmethod", "classmethod", "lru_cache", "cache", "cached_property", "functools")


def is_noise(node: Any, operator: str) -> bool:
    """Whether a mutation of a parso node is left out."""
    if operator == "RemoveDecorator":
        return any(name in node.get_code() for name in _DECORATORS)
    if node.type == "assert_stmt":
        return True
    child = node
    while child.parent is not None:
        parent = child.parent
        if _is_annotation(child, parent) or _is_error_text(parent) or _is_alias(parent) or _is_switch(child, parent):
            return True
        if parent.type in ("assert_stmt", "import_from", "import_name"):
            return True
        child = parent
    return False


def _is_annotation(child: Any, parent: Any) -> bool:
    if parent.type == "annassign":
        return child is parent.children[1]
    if parent.type == "tfpdef":
        return child is not parent.children[0]
    if parent.type == "funcdef":
        return child is parent.annotation
    return False


def _is_error_text(parent: Any) -> bool:
    """What stands behind ``raise``, and what a formatted string shows for people."""
    return parent.type in ("raise_stmt", "fstring")


def _is_alias(parent: Any) -> bool:
    """``Name = Callable[…]`` and ``__all__`` at the top of a module."""
    if parent.type != "expr_stmt" or parent.parent.parent is None or parent.parent.parent.type != "file_input":
        return False
    name = parent.children[0].get_code().strip()
    return name == "__all__" or (name[0].isupper() and not name.isupper() and "_" not in name)


def _is_switch(child: Any, parent: Any) -> bool:
    return parent.type == "argument" and parent.children[0] is not child and parent.children[0].get_code().strip() in _SWITCHES
