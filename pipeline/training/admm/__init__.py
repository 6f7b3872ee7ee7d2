"""ADMM: training without a gradient. Equations, sources and what each form does: docs/admm.md."""
