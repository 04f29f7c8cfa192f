# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""The experts of a transformers model, run by this library."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from typing import Any

from . import routing
from ._activation import activation_of
from ._options import Options
from .checkpoint import Checkpoint
from .errors import InvalidArgument, Unsupported
from .experts import Experts

NAME = "swift_moe"

_implementations: dict[str, Implementation] = {}


class Implementation:
    """An experts implementation under a name of its own: its options, and what was packed for each module."""

    def __init__(self, name: str, options: Options, checkpoint: Checkpoint | None, release: bool) -> None:
        self.name, self.options, self.checkpoint, self.release = name, options, checkpoint, release
        self._packed: weakref.WeakKeyDictionary[Any, tuple[object, Experts]] = weakref.WeakKeyDictionary()

    def __call__(self, module: Any, hidden_states: Any, top_k_index: Any, top_k_weights: Any) -> Any:
        """The forward of a module of experts."""
        ids, weights = routing.observe(module, top_k_index, top_k_weights)
        if module._is_expert_parallel:
            ids = ids.masked_fill(ids >= module.num_experts, -1)
        return self.experts(module)(hidden_states, ids, weights)

    def experts(self, module: Any) -> Experts:
        """What was packed for a module: anew where its weights have changed since."""
        signature = _signature(module)
        found = self._packed.get(module)
        if found is None or found[0] != signature:
            found = (signature, self._pack(module))
            if self.release:
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.new_empty(0)
                found = (_signature(module), found[1])
            self._packed[module] = found
        return found[1]

    def _pack(self, module: Any) -> Experts:
        if self.checkpoint is None:
            return pack(module, self.options)
        layer = _layers.get(module)
        if layer is None:
            raise InvalidArgument(f"nobody knows the layer of a module of experts: call swift_moe.prepare(model, {self.name!r})")
        return Experts(self._load(self.checkpoint, layer))

    def _load(self, checkpoint: Checkpoint, layer: int) -> int:
        from . import _library

        return _library.handle("moe_layer_load", checkpoint.handle, layer, self.options.struct())


# The layer's number of each module that `prepare` has seen.
_layers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


def _signature(module: Any) -> object:
    """Changes when a weight is written to or replaced."""
    return tuple(
        (parameter.data_ptr(), 0 if parameter.is_inference() else parameter._version)
        for parameter in module.parameters(recurse=False)
    )


def pack(module: Any, options: Options = Options()) -> Experts:
    """The experts of a module, from its own weights."""
    if getattr(module, "has_post_expert_norm", False):
        raise Unsupported(f"{type(module).__name__}: its experts end with a norm, which this library doesn't have")
    has_gate = getattr(module, "has_gate", True)
    tensors = {("gate_up" if has_gate else "up"): "gate_up_proj" if has_gate else "up_proj", "down": "down_proj"}
    if getattr(module, "has_bias", False):
        tensors |= {f"{name}_bias": f"{attribute}_bias" for name, attribute in tensors.items()}
    arrays = {name: getattr(module, attribute).detach() for name, attribute in tensors.items()}
    return Experts.from_weights(
        **arrays,
        **activation_of(module),
        input_major=getattr(module, "is_transposed", True),
        interleaved=not getattr(module, "is_concatenated", True),
        options=options,
    )


def register(
    name: str = NAME,
    *,
    weights: str | None = None,
    activations: str | None = None,
    backend: str = "cpu",
    threads: int = 0,
    checkpoint: Checkpoint | None = None,
    release: bool = False,
) -> None:
    """Adds an experts implementation to transformers.

    >>> swift_moe.register()
    >>> model.set_experts_implementation("swift_moe")

    Several may be registered, each under a name with options of its own:

    >>> swift_moe.register("experts_int4", weights="int4-g128", activations="int8", release=True)

    Args:
        weights: what the model's weights are converted to when they are packed, at the first forward or by `prepare`; as
            they are when None.
        activations: what tokens and the intermediate are rounded to before they are multiplied: "f32" (not at all),
            "bf16", which is what transformers itself does in a model of bfloat16, "int8" (cpu) or "fp8" (cuda); when None
            "f32", with cuda "bf16".
        backend: "cpu", or "cuda" or "cuda:N" for an NVIDIA GPU.
        threads: workers; 0 is one for each processor.
        checkpoint: where experts are loaded from instead, as they are stored there; then `prepare` must be called.
        release: whether the model's own expert weights are given up once they are packed.
    """
    import torch
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    options = Options(weights, backend, activations, threads, experts_only=True)
    options.struct()
    implementation = Implementation(name, options, checkpoint, release)
    _implementations[name] = implementation

    @torch.compiler.disable
    def forward(self: Any, hidden_states: Any, top_k_index: Any, top_k_weights: Any) -> Any:
        return implementation(self, hidden_states, top_k_index, top_k_weights)

    ALL_EXPERTS_FUNCTIONS.register(name, forward)
    from . import llama4

    llama4.adopt(_implementations)


def implementation(name: str) -> Implementation:
    if name not in _implementations:
        raise InvalidArgument(f"{name}: no such implementation: call swift_moe.register() first")
    return _implementations[name]


def is_experts(module: Any) -> bool:
    """Whether a module is one of routed experts that this library can run."""
    return hasattr(module, "_is_expert_parallel") or type(module).__name__ == "Llama4TextExperts"


def experts_of(model: Any) -> Iterator[tuple[str, Any]]:
    """The modules of experts of a model, by name."""
    return ((name, module) for name, module in model.named_modules() if is_experts(module))


def prepare(model: Any, name: str = NAME) -> int:
    """Packs the experts of all layers now and not at the first forward; returns their bytes."""
    resident = 0
    for module_name, module in experts_of(model):
        number = re.search(r"\blayers\.(\d+)\.", module_name)
        if number:
            _layers[module] = int(number.group(1))
        resident += implementation(name).experts(module).info.resident_bytes
    return resident


def from_pretrained(
    path: str,
    *,
    name: str | None = None,
    model_class: Any = None,
    weights: str | None = None,
    activations: str | None = None,
    backend: str = "cpu",
    threads: int = 0,
    **arguments: Any,
) -> Any:
    """A model of a checkpoint whose routed experts this library loads from it, quantised as they are stored there.

    transformers sees neither their tensors nor their format: only the rest of the model must be plain numbers.

    >>> model = swift_moe.from_pretrained("Qwen3-30B-A3B-int4", dtype="bfloat16")

    Args:
        name: of the experts implementation that is registered for it.
        model_class: an auto class; AutoModelForCausalLM when None.
        weights, activations, backend, threads: as in `register`.
        arguments: for the class's own `from_pretrained`, which gets the remaining tensors as its state.
    """
    import torch
    import transformers

    checkpoint = Checkpoint(path)
    own = {tensor.name for layer in checkpoint.layers for tensor in checkpoint.tensors(layer.index)}
    state = _plain_tensors(path, own)
    config = transformers.AutoConfig.from_pretrained(path)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    name = name or f"{NAME}:{path}"
    register(name, weights=weights, activations=activations, backend=backend, threads=threads, checkpoint=checkpoint)
    with torch.device("meta"):
        skeleton = (model_class or transformers.AutoModelForCausalLM).from_config(config)
    with _without_expert_weights(skeleton):
        model = type(skeleton).from_pretrained(None, config=config, state_dict=state, **arguments)
    model.set_experts_implementation(name)
    prepare(model, name)
    return model.eval()


def _plain_tensors(path: str, without: set[str]) -> dict[str, Any]:
    """The tensors of a folder but for some, refusing those of quantised layers."""
    from pathlib import Path

    from safetensors import safe_open

    state: dict[str, Any] = {}
    for file in sorted(Path(path).glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():
                if name not in without:
                    state[name] = tensors.get_tensor(name)
    odd = sorted(name for name, tensor in state.items() if not tensor.is_floating_point() or tensor.element_size() == 1)
    odd = [name for name in odd if "tid2eid" not in name]
    if odd:
        raise Unsupported(
            f"{path}: {len(odd)} tensors besides the routed experts are quantised, such as {odd[0]}; "
            "load the model by transformers and register() instead"
        )
    return state


class _without_expert_weights:
    """While it lasts, modules of experts are made with empty weights, so that nobody allocates, initialises or misses them."""

    def __init__(self, skeleton: Any) -> None:
        modules = dict(experts_of(skeleton))
        self._classes = {type(module): type(module).__init__ for module in modules.values()}
        self._model = type(skeleton)
        self._ignored = self._model._keys_to_ignore_on_load_missing
        self._names = [re.escape(name) for name in modules]

    def __enter__(self) -> None:
        import torch

        self._model._keys_to_ignore_on_load_missing = [*(self._ignored or []), *self._names]
        for cls, original in self._classes.items():

            def make(module: Any, *arguments: Any, _original: Any = original, **keywords: Any) -> None:
                _original(module, *arguments, **keywords)
                for key, parameter in list(module.named_parameters(recurse=False)):
                    empty = torch.empty(0, dtype=parameter.dtype, device="cpu")
                    setattr(module, key, torch.nn.Parameter(empty, requires_grad=False))

            cls.__init__ = make

    def __exit__(self, *exception: object) -> None:
        self._model._keys_to_ignore_on_load_missing = self._ignored
        for cls, original in self._classes.items():
            cls.__init__ = original
