"""The study of SAST: what is run, the records of the runs, and the page made from them."""
