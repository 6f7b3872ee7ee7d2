"""The study of deployment: what networks withstand, what they cost, what training them cost."""
