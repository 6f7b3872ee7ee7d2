"""What the deployed network would cost on Loihi 1, modelled twice."""
