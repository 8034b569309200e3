"""A project file, ``depth.toml``: what a repository ships, made and held to its budgets by one command."""
