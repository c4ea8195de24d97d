"""The commands: one room each, and what they share beside them."""
