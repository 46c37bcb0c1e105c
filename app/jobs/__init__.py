"""The life of a claimed request, on any replica: run, wait, settle, keep, hand out again."""
