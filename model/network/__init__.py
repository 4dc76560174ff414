"""The network of today's checkpoint: its architecture, its text, and its fast search."""
