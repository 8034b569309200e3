"""An .mlpackage on disk: its files, its program and weights, its metadata."""
