"""Pictures this gateway made itself: storage and signed links."""
