"""Depth without depth labels: the objectives that learn it from a video or from stereo pairs."""
