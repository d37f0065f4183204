"""Whether what came is what was to come, but for rounding."""
