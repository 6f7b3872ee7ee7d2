"""What a deployed network would cost on Loihi 1: its cores, its energy and its time, modelled."""
