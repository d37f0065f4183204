"""What an implementation is tried on."""
