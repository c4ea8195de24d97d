"""The command `video`."""
