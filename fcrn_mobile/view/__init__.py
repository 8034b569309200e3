"""A page to look at models with, on this machine alone: pictures, their depth by several models, and what is known of a package's graph."""
