"""The training loop, the only one: what it trains is a task, where it stands is a folder."""
