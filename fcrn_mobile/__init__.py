"""fcrn-mobile: FCRN depth networks for Core ML, with their drift and speed known before a phone has run them."""

__version__ = "0.1.0"
