"""The commands of the indexer's floor; each imports its room only when it runs."""
