"""Networks of exponentials: drawing them, what is proved of their training, how their Gram matrix concentrates, safety."""
