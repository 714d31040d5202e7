"""What was seen, what is due, and what became of it."""
