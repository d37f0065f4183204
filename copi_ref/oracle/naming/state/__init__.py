"""What is kept from call to call: which results are a matter of it, after which calls, and what it was."""
