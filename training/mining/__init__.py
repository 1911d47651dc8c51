"""Hard negatives for pairs, found by our own index."""
