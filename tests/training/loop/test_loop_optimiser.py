"""AdamW: what decays, its formula, and its state by name."""

import torch
from torch import nn

from tests.training.small import small_bert
from training.loop.optimiser import make_optimiser, optimiser_state, restore_optimiser


def test_norms_and_biases_do_not_decay() -> None:
    model = small_bert(90)
    groups = make_optimiser(model, decay=0.1, betas=(0.9, 0.98)).param_groups
    decays = {id(each): group["weight_decay"] for group in groups for each in group["params"]}
    named = dict(model.named_parameters())
    assert len(decays) == len(named) == sum(len(group["params"]) for group in groups)
    for name, parameter in named.items():
        spared = name.endswith("bias") or "LayerNorm" in name
        assert decays[id(parameter)] == (0.0 if spared else 0.1), name


def test_steps_are_those_of_the_paper() -> None:
    """Loshchilov and Hutter, 2019, algorithm 2, in plain arithmetic."""
    model = nn.Linear(1, 1)
    rate, decay, first, second = 0.1, 0.2, 0.9, 0.98
    optimiser = make_optimiser(model, decay=decay, betas=(first, second))
    values = {"weight": model.weight.item(), "bias": model.bias.item()}
    means, squares = dict.fromkeys(values, 0.0), dict.fromkeys(values, 0.0)
    for step, gradient in enumerate((0.5, -2.0, 1.0), 1):
        for name, parameter in model.named_parameters():
            parameter.grad = torch.full_like(parameter, gradient)
            means[name] = first * means[name] + (1 - first) * gradient
            squares[name] = second * squares[name] + (1 - second) * gradient**2
            mean, square = means[name] / (1 - first**step), squares[name] / (1 - second**step)
            shrunk = values[name] * (1 - rate * (decay if name == "weight" else 0))
            values[name] = shrunk - rate * mean / (square**0.5 + 1e-6)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.item(), values[name], atol=1e-6, rtol=1e-5)


def test_state_is_put_back_by_name() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimiser = make_optimiser(model, decay=0.0, betas=(0.9, 0.98))
    model(torch.randn(5, 3)).square().sum().backward()
    model[1].bias.grad = None  # what has no gradient has no state
    optimiser.step()
    state = {name: each.clone() for name, each in optimiser_state(model, optimiser).items()}
    assert set(state) == {
        f"{name}/{key}"
        for name in ("0.weight", "0.bias", "1.weight")
        for key in ("step", "exp_avg", "exp_avg_sq")
    }
    other = make_optimiser(model, decay=0.0, betas=(0.9, 0.98))
    restore_optimiser(model, other, {name: each.clone() for name, each in state.items()})
    restored = optimiser_state(model, other)
    assert restored.keys() == state.keys()
    for name, each in state.items():
        assert torch.equal(restored[name], each)
