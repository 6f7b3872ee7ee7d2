"""From recordings to a measured deployment: data, training, conversion, report."""

__version__ = "0.1.0"
