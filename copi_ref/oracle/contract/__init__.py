"""What is right: the functions of the contract, the conventions, and COPI in pieces that can be exchanged."""
