"""Where a loss is going: a run that has diverged is known, though its loss is still a number."""

from dataclasses import dataclass

_FIRST_STEPS = 20
_SMOOTHING = 0.9
# Half of what was gained is lost again, and half a nat more, for so many steps one after another:
# noise of small losses stays within the half nat, and a spike doesn't last.
_LOST = 0.5
_MARGIN = 0.5
_PATIENCE = 20
# A loss that isn't in nats, such as MarginMSE's squares, may be much noisier: twice the mean change
# from step to step is then the margin, ten deviations of a smoothed loss that stands still.
_NOISE = 2.0
_NOISE_STEPS = 100


@dataclass(slots=True, kw_only=True)
class Trend:
    """The smoothed loss of a phase: after its first steps, at its lowest, and now.

    `steps` have been followed; the last `above` of them lay above the bound. `noise` is the mean
    change from one step's loss to the next, of late, and `last` the last step's loss.
    """

    steps: int = 0
    smoothed: float = 0.0
    first: float = 0.0
    lowest: float = 0.0
    above: int = 0
    noise: float = 0.0
    last: float = 0.0

    def follow(self, loss: float) -> None:
        """Take the loss of the next step."""
        kept = _SMOOTHING if self.steps else 0.0
        self.smoothed = kept * self.smoothed + (1 - kept) * loss
        if self.steps:
            self.noise += (abs(loss - self.last) - self.noise) / min(self.steps, _NOISE_STEPS)
        self.last = loss
        self.steps += 1
        if self.steps <= _FIRST_STEPS:
            self.first = self.lowest = self.smoothed
            return
        self.lowest = min(self.lowest, self.smoothed)
        self.above = self.above + 1 if self.smoothed > self.bound else 0

    @property
    def bound(self) -> float:
        """Return the smoothed loss above which the model is getting lost."""
        margin = max(_MARGIN, _NOISE * self.noise)
        return self.lowest + _LOST * (self.first - self.lowest) + margin

    @property
    def has_diverged(self) -> bool:
        """Tell whether the loss has stayed above the bound for too long."""
        return self.above >= _PATIENCE
