"""The residual block, and what all blocks of one network have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pipeline.networks.activations import ACTIVATIONS, activation
from pipeline.networks.dropout import Dropout
from pipeline.networks.layers import BatchNorm, Linear
from pipeline.networks.shake import ShakeDrop, ShakeShake

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


@dataclass(frozen=True)
class Style:
    """What all blocks of one network have in common."""

    blocks_per_group: int
    """Blocks of one width."""
    activation: str
    """Name of the activation."""
    skip: bool
    """Whether the input of a block is added to its output."""
    shake_shake: bool
    """Whether a block has two branches that are mixed at random."""
    max_shake_drop: float
    """Probability that the branch of the last block is scaled at random; 0 is off."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Style:
        """Read the settings of `add_style`; what is inactive is off."""
        return cls(
            blocks_per_group=int(settings["blocks_per_group"]),
            activation=settings["activation"],
            skip=bool(settings["use_skip_connections"]),
            shake_shake=bool(settings.get("use_shake_shake", False)),
            max_shake_drop=float(settings["max_shake_drop_probability"]) if settings.get("use_shake_drop", False) else 0.0,
        )


def add_style(space: ConfigurationSpace) -> None:
    """Add the hyperparameters of `Style` (Auto-PyTorch full_cs); there is nothing to shake without skip connections (as in 0.2.1)."""
    from ConfigSpace import Categorical, EqualsCondition, Float, Integer

    skip = Categorical("use_skip_connections", [True, False], default=True)
    shake_shake = Categorical("use_shake_shake", [True, False], default=False)
    shake_drop = Categorical("use_shake_drop", [True, False], default=False)
    probability = Float("max_shake_drop_probability", (0.0, 1.0), default=0.5)
    space.add(
        Integer("blocks_per_group", (1, 4), default=2),
        Categorical("activation", list(ACTIVATIONS)),
        skip,
        shake_shake,
        shake_drop,
        probability,
        EqualsCondition(shake_shake, skip, True),
        EqualsCondition(shake_drop, skip, True),
        EqualsCondition(probability, shake_drop, True),
    )


class ResidualBlock(nn.Module):
    """Normalise, activate, linear, normalise, activate, drop, linear; added to the input (Auto-PyTorch full_cs).

    Shape: (batch, a) -> (batch, b). Where a = b, every branch starts with its own normalisation and the input is added as it
    is; else the first normalisation and activation are shared by the branches and a linear shortcut. With n branches (2 for
    shake-shake, else 1), the number of parameters is n * (2 a + (a * a + a) + 2 a + (a * a + a)) if a = b, else
    2 a + n * ((a * b + b) + 2 b + (b * b + b)), and a * b + b more with skip connections.
    """

    def __init__(self, a: int, b: int, rate: float, survival: float, style: Style) -> None:
        super().__init__()
        changes = a != b
        act = activation(style.activation)
        self.before = nn.Sequential(BatchNorm(a), act) if changes else nn.Identity()
        self.shortcut = None
        if style.skip:
            self.shortcut = Linear(a, b) if changes else nn.Identity()
        self.branches = nn.ModuleList()
        for _ in range(2 if style.shake_shake else 1):
            start = [] if changes else [BatchNorm(a), act]
            self.branches.append(nn.Sequential(*start, Linear(a, b), BatchNorm(b), act, Dropout(rate), Linear(b, b)))
        self.shake_shake = ShakeShake() if style.shake_shake else None
        self.shake_drop = ShakeDrop(survival) if style.max_shake_drop > 0 else None

    def forward(self, x: Tensor) -> Tensor:  # (batch, a)
        """The shortcut if there is one, and the residual branch."""
        x = self.before(x)
        kept = self.shortcut(x) if self.shortcut else None
        outputs = [branch(x) for branch in self.branches]
        residual = self.shake_shake(*outputs) if self.shake_shake else outputs[0]
        if self.shake_drop:
            residual = self.shake_drop(residual)
        return residual if kept is None else kept + residual  # (batch, b)
