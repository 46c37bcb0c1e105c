"""A separate program that speaks the Runware API. Imports nothing of the gateway."""
