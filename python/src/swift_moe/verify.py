# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""How far the experts of a model are from what transformers computes itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .errors import InvalidArgument
from .integration import NAME, experts_of, implementation


@dataclass(frozen=True)
class LayerError:
    """‖y − y*‖ / ‖y*‖ of a layer, y* being eager in float32: of this library, and of eager in the model's own type."""

    name: str
    tokens: int
    error: float
    eager_error: float


@dataclass(frozen=True)
class Verification:
    """The errors of all layers. As text it is a table with a bar for each, in SVG a chart."""

    layers: list[LayerError]

    @property
    def worst(self) -> float:
        return max(layer.error for layer in self.layers)

    def __str__(self) -> str:
        width = max(len(layer.name) for layer in self.layers)
        lines = [f"{'layer':<{width}}  tokens     error  eager's own  1e-8 {'·' * 22} 1"]
        for layer in self.layers:
            bar = "█" * round(_place(layer.error) * 28)
            lines.append(f"{layer.name:<{width}}  {layer.tokens:6}  {layer.error:8.2e}     {layer.eager_error:8.2e}  {bar}")
        return "\n".join(lines)

    def svg(self) -> str:
        """The same as a picture: a point for each layer over a logarithmic axis."""
        step, left, height = max(8, min(40, 900 // len(self.layers))), 60, 260
        width = left + step * len(self.layers) + 20

        def y(error: float) -> float:
            return 20 + (1 - _place(error)) * (height - 60)

        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]
        for exponent in range(-8, 1, 2):
            at = y(10.0**exponent)
            parts.append(f'<line x1="{left}" x2="{width - 10}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">1e{exponent}</text>')
        for index, layer in enumerate(self.layers):
            x = left + step * (index + 0.5)
            for error, colour, label in ((layer.eager_error, "#999", "eager"), (layer.error, "#c2410c", "swift_moe")):
                parts.append(
                    f'<circle cx="{x:.1f}" cy="{y(error):.1f}" r="4" fill="{colour}">'
                    f"<title>{layer.name}: {label} {error:.2e}</title></circle>"
                )
        parts.append(
            f'<text x="{left}" y="{height - 12}">relative error by layer: '
            '<tspan fill="#c2410c">swift_moe</tspan>, <tspan fill="#999">eager in the model\'s type</tspan></text></svg>'
        )
        return "\n".join(parts)


def _place(error: float) -> float:
    """0 for 1e-8 and less, 1 for 1 and more."""
    return min(1.0, max(0.0, 1 + math.log10(max(error, 1e-300)) / 8))


def verify(
    model: Any, input_ids: Any = None, *, name: str = NAME, tokens: int = 64, svg: str | None = None, quiet: bool = False
) -> Verification:
    """Runs a model by eager, and each layer's experts besides by this library on the same input and routing.

    Prints the table, and writes the chart to the file `svg`.

    Args:
        input_ids: `[batch, tokens]`; so many random `tokens` when None.
        name: of the implementation, as registered.
    """
    import torch

    run = implementation(name)
    found: list[LayerError] = []
    names = {module: module_name for module_name, module in experts_of(model)}
    if not names:
        raise InvalidArgument("the model has no experts that this library runs")
    if any(parameter.numel() == 0 for module in names for parameter in module.parameters()):
        raise InvalidArgument("the model's own expert weights were given up, so there is nothing to compare with")

    def hook(module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
        eager = type(module).forward.__wrapped__
        given = (*arguments, *keywords.values())
        ours = run(module, *given) if len(given) > 1 else _llama4(run, module, given[0])
        result = eager(module, *given)
        with _in_float32(module):
            truth = eager(module, *(value.float() if value.is_floating_point() else value for value in given))
        found.append(LayerError(names[module], given[0].shape[0], _error(ours, truth), _error(result, truth)))
        return result

    if input_ids is None:
        generator = torch.Generator().manual_seed(1)
        size = model.config.get_text_config().vocab_size
        input_ids = torch.randint(0, size, (1, tokens), generator=generator)
    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in names]
    try:
        with torch.no_grad():
            model(input_ids=input_ids)
    finally:
        for handle in handles:
            handle.remove()
    verification = Verification(found)
    if svg is not None:
        with open(svg, "w", encoding="utf-8") as file:
            file.write(verification.svg())
    if not quiet:
        print(verification)
    return verification


def _llama4(run: Any, module: Any, hidden_states: Any) -> Any:
    from . import llama4

    return llama4.run(run.experts(module), hidden_states)


def _error(values: Any, truth: Any) -> float:
    norm = truth.float().norm().item()
    return float((values.float() - truth.float()).norm().item() / norm) if norm > 0 else 0.0


class _in_float32:
    """While it lasts, a module's weights are in float32."""

    def __init__(self, module: Any) -> None:
        self._parameters = [(parameter, parameter.data) for parameter in module.parameters()]

    def __enter__(self) -> None:
        for parameter, data in self._parameters:
            parameter.data = data.float()

    def __exit__(self, *exception: object) -> None:
        for parameter, data in self._parameters:
            parameter.data = data
