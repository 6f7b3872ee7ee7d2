"""The study of interoperability: what four toolkits write as NIR, read of it, and make of it."""
