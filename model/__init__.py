"""The translation model: text handling, architecture, search and the checkpoint that holds them together.

Everything in this package is shipped in the image; nothing in it trains.
"""
