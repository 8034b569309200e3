"""How well depth agrees with the truth: metrics, protocols, and their measurement on a source."""
