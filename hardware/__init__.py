"""Targets: everything that runs a deployed file, held to one reference."""
