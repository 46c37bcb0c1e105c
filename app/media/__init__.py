"""Images this gateway made itself: storage and signed links."""
