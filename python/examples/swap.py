# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Swaps the experts of a model of transformers, here a tiny random Mixtral, and looks at what that changes."""

import swift_moe
import torch
from transformers import MixtralConfig, MixtralForCausalLM

torch.manual_seed(0)
model = MixtralForCausalLM(
    MixtralConfig(vocab_size=256, hidden_size=128, intermediate_size=256, num_hidden_layers=4, num_local_experts=8)
).eval()
prompt = torch.randint(3, 256, (1, 16))

swift_moe.register()
swift_moe.register("swift_moe_int4", weights="int4-g128")

model.set_experts_implementation("eager")
expected = model.generate(prompt, max_new_tokens=32, do_sample=False)
model.set_experts_implementation("swift_moe")
with swift_moe.capture() as routes:
    text = model.generate(prompt, max_new_tokens=32, do_sample=False)

print("the same text:", torch.equal(text, expected))
print("routing [tokens, layers, k]:", routes.ids.shape)
for name in ("swift_moe", "swift_moe_int4"):
    print(name)
    swift_moe.verify(model, prompt, name=name)
