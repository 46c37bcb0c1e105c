"""What images cost."""
