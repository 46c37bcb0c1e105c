"""Spillway: a self-hosted, OpenAI-compatible image gateway in front of Runware."""

__version__ = "0.1.0"
