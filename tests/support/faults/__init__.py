"""Injects faults into real processes at chosen moments, and counts afterwards what was bought and what was delivered."""
