#!/usr/bin/env python3
"""Loads a trained model and repeats the predictions of its example.json: examples/predict.py MODEL_FOLDER

Needs torch and safetensors. docs/model.md has the formulas.
"""
import json, pathlib, sys, torch
from safetensors.torch import load_file
folder = pathlib.Path(sys.argv[1])
model, example = (json.loads((folder / name).read_text()) for name in ("model.json", "example.json"))
w, a = load_file(folder / "model.safetensors"), model["architecture"]
def scaled(rows, by):
    x = torch.tensor([[float("nan") if v is None else v for v in row] for row in rows], dtype=torch.float64)
    x = (x.reshape(-1, len(by["means"])) - torch.tensor(by["means"])) / torch.tensor(by["deviations"])
    return x.clamp(-10, 10).nan_to_num(0).float()
x, e = scaled(example["features"], model["scaler"]), scaled(example["edgeFeatures"], model["edgeScaler"])
source, target = torch.tensor([pair for pair in example["edges"] if pair[0] != pair[1]], dtype=torch.long).reshape(-1, 2).T
e, nodes = e[[pair[0] != pair[1] for pair in example["edges"]]], torch.arange(len(x))
mean = torch.zeros(len(x), e.shape[1]).index_add(0, target, e) / target.bincount(minlength=len(x)).clamp(min=1)[:, None]
source, target, e = torch.cat([source, nodes]), torch.cat([target, nodes]), torch.cat([e, mean])
linear = lambda x, name: x @ w[name + ".weight"].T + w.get(name + ".bias", torch.zeros(()))
for i, layer in enumerate(a["layers"]):
    p, size = f"layers.{i}", (-1, layer["heads"], layer["channels"])
    s, t = linear(x, p + ".source"), linear(x, p + ".target")
    inner = s[source] + t[target] + (linear(e, p + ".edge") if a["edgeInputs"] else 0)
    logits = (torch.nn.functional.leaky_relu(inner, a["slope"]).view(size) * w[p + ".attention"]).sum(-1)
    share = torch.stack([torch.where(target == n, logits.T, -torch.inf).softmax(-1) for n in nodes], 1)
    h = torch.einsum("hne,ehc->nhc", share, s[source].view(size))
    h = (h.mean(1) if layer["join"] == "mean" else h.flatten(1)) + w[p + ".bias"]
    if a["norm"] != "none":
        h = h - h.mean(1, True) if a["norm"] == "layer" else h - h.mean(0) * w[p + ".norm.mean_scale"]
        h = h / ((h**2).mean(1 if a["norm"] == "layer" else 0, True) + 1e-5).sqrt()
        h = h * w[p + ".norm.weight"] + w[p + ".norm.bias"]
    h = torch.nn.functional.elu(h) if a["activation"] == "elu" else h.relu()
    x = h + (linear(x, p + ".residual") if p + ".residual.weight" in w else x if a["isResidual"] else 0)
out = linear(x, "head").softmax(-1) if model["task"] == "direction" else linear(x, "head") * model["outcomeScale"]
difference = (out - torch.tensor(example["predictions"])).abs().max().item()
print(f"{len(x)} symbols, largest difference {difference:.1e}")
sys.exit(difference > 1e-5)
