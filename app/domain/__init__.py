"""The values that travel between the stages of a request: frozen, without behavior, in Spillway's own words."""
