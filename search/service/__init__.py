"""The search service without its protocol: queues, threads and one set of models."""
