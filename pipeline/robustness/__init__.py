"""What a deployed network withstands: corrupted recordings, and faults of the chip it runs on."""
