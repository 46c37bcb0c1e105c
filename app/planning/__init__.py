"""Pure decisions: what a request becomes on its model, and what had to be adjusted."""
