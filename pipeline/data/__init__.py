"""Event recordings and their binning into spike tensors."""
