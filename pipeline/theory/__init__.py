"""The theory of sharpness-aware surrogate training, held against a trained network."""
