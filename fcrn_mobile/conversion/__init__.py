"""From a checkpoint and a recipe to an artefact."""
