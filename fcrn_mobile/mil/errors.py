"""What is wrong with a package, or with what it was given."""

from fcrn_mobile.errors import InputError


class MilError(InputError):
    """A package that cannot be read or run, or an input that does not fit it; one line with the value and the remedy."""
