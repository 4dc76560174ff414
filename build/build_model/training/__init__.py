"""A corpus to a checkpoint, and what a checkpoint is worth."""
