"""Which array library, what is checked of arrays that come in, and the two products and two moments that all share."""
