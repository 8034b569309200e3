"""Fixtures of the journeys."""

from tests.journeys.command import call

__all__ = ["call"]
