"""What the oracle says: verdicts, code that shows a failure, and every intermediate of one step."""
