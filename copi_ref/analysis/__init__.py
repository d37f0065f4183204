"""What to look at in a network: measures and, later, analyses of the papers."""
