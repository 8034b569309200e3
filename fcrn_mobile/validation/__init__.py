"""Drift of candidates from the float network, held to a budget."""
