"""Models made here, which come with the package: `cloze/NAME` wherever a model is named."""
