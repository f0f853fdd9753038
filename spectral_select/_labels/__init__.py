"""Class probabilities, label noise and wrong labels, estimated from a similarity graph."""
