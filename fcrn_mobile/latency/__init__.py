"""Latency: measured here, or estimated from what others published; and which unit of a device would run an operator."""
