"""The contract: hard-spike networks and the files they travel in. Imports no torch."""
