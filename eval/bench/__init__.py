"""Speed of what the engine does, as ratios side by side in one run."""
