"""Fixtures of the search's tests."""

from tests.journeys.command import call

__all__ = ["call"]
