"""Every setting, its group, and how the environment is read."""
