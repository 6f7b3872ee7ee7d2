"""What other toolkits' exporters write and their neurons do, as rewrites of a file's graph.

Facts are from the sources of snnTorch 1.0.0, Norse 1.1.0, SpikingJelly 2.0.0 and sinabs 3.1.3, and
held to runs of them by `tests/conformance`; docs/interop.md has them side by side.
"""
