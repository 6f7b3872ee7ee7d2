"""Rewrites: small passes on a graph, each of which leaves what the graph computes as it was."""
