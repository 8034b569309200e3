"""How weights and activations are stored in fewer bits."""
