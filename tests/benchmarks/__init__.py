"""How fast Dragoman is, beside the server that everybody writes first and beside the broker's ceiling: `make bench`."""
