"""Processes that work on images: bounded, isolated, replaced when one has to go. What they do is not known here."""
