"""The use case: from an image request to delivered images."""
