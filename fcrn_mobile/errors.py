"""The one error type that the command line turns into a single line and exit code 2."""


class InputError(Exception):
    """Bad input from the user: the message is one line that names the value and the remedy."""
