"""AdamW as BERT uses it, its state under the parameters' names."""

from torch import Tensor, nn
from torch.optim import AdamW

# Of a bias, and of a norm's scale, which are vectors.
_UNDECAYED_DIMENSIONS = 1


def make_optimiser(model: nn.Module, *, decay: float, betas: tuple[float, float]) -> AdamW:
    """Make AdamW that decays matrices alone (Loshchilov and Hutter, 2019; Devlin et al., 2019)."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    matrices = [each for each in parameters if each.dim() > _UNDECAYED_DIMENSIONS]
    vectors = [each for each in parameters if each.dim() <= _UNDECAYED_DIMENSIONS]
    groups = [
        {"params": matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=0.0, betas=betas, eps=1e-6, fused=True)


def optimiser_state(model: nn.Module, optimiser: AdamW) -> dict[str, Tensor]:
    """Return the moments and step counts, named `PARAMETER/KEY`."""
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser(model: nn.Module, optimiser: AdamW, state: dict[str, Tensor]) -> None:
    """Put back what `optimiser_state` returned."""
    named = dict(model.named_parameters())
    for place, value in state.items():
        name, _, key = place.rpartition("/")
        parameter = named[name]
        optimiser.state[parameter][key] = value.to(parameter.device)
