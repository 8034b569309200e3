"""Latency, measured on the machine at hand."""
