"""``python -m fcrn_mobile``."""

from fcrn_mobile.cli.main import run

run()
