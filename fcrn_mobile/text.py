"""Text that leaves the program."""


def printable(text: str) -> str:
    """Text that UTF-8 holds: a byte of a file name that was none, which Python keeps as half a surrogate pair, is spelt out as \\udcXX."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
