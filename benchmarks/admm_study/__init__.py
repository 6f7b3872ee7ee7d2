"""The study of ADMM: what is run, the records of the runs, and the page made from them."""
