"""Training methods: a typed config in, the best weights and their cost out."""
