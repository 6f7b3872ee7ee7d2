"""`hardspike diff`: where the spikes of two artefacts or targets part, and why."""
