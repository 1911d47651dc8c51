"""The forward pass of a BERT-family checkpoint at machine speed."""
