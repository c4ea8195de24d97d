"""Inference engines: torch on any device, OpenVINO on CPUs, behind one interface."""
