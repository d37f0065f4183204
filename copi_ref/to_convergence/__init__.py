"""Found numerically, on the host: states at a minimum of their energy, and the step of implicit SGD."""
