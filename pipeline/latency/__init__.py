"""What a call of the deployed files costs in wall time on the processor."""
