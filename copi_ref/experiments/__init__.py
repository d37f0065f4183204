"""The papers' experiments: presets, and the runner that trains methods over seeds."""
