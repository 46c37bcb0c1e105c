"""The models: typed entries, their loader and their registry."""
