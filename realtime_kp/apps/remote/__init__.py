"""Inputs and outputs in object stores, by way of local copies."""
