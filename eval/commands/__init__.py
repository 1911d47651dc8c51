"""The commands that evaluate: `cloze eval`, `compare`, `collection`, `tune`, `judge`, `bench`."""
