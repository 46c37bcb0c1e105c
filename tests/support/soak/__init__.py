"""A soak: hours in minutes, with faults, and what must be the same afterwards."""
