"""The whole network and its training by the formulas of docs/model.md, with PyTorch.

usage: network_reference.py input.json output.json; both are lists of cases
"""
import json
import sys

import torch


def attention(x, prefix, weights, given):
    heads, channels = weights[f"{prefix}.attention"].shape
    source = x @ weights[f"{prefix}.source.weight"].T + weights[f"{prefix}.source.bias"]
    target = x @ weights[f"{prefix}.target.weight"].T + weights[f"{prefix}.target.bias"]
    sources, targets = torch.tensor(given["sources"]), torch.tensor(given["targets"])
    inner = source[sources] + target[targets]
    if f"{prefix}.edge.weight" in weights:
        inner = inner + given["edgeTensor"] @ weights[f"{prefix}.edge.weight"].T
    inner = torch.nn.functional.leaky_relu(inner, given["slope"]).view(-1, heads, channels)
    logits = (inner * weights[f"{prefix}.attention"]).sum(-1)
    # Dense: a row a target, a column an edge.
    belongs = targets.unsqueeze(0) == torch.arange(len(x)).unsqueeze(1)
    shares = torch.softmax(logits.T.unsqueeze(1).masked_fill(~belongs, -torch.inf), dim=-1)
    out = torch.einsum("hne,ehc->nhc", shares, source[sources].view(-1, heads, channels))
    return out


def network(x, weights, given):
    parts = torch.tensor(given["parts"])
    for index, layer in enumerate(given["layers"]):
        prefix = f"layers.{index}"
        out = attention(x, prefix, weights, given)
        out = out.mean(1) if layer["join"] == "mean" else out.flatten(1)
        out = out + weights[f"{prefix}.bias"]
        if given["norm"] == "layer":
            out = torch.nn.functional.layer_norm(
                out, out.shape[-1:], weights[f"{prefix}.norm.weight"], weights[f"{prefix}.norm.bias"])
        elif given["norm"] == "graph":
            rows = []
            for part in range(int(parts.max()) + 1):
                rows.append(graph_norm(out[parts == part], prefix, weights))
            out = torch.cat(rows)
        out = torch.nn.functional.elu(out) if given["activation"] == "elu" else torch.relu(out)
        if given["residual"]:
            project = weights.get(f"{prefix}.residual.weight")
            out = out + (x if project is None else x @ project.T)
        x = out
    return x @ weights["head.weight"].T + weights["head.bias"]


def graph_norm(x, prefix, weights):
    centred = x - x.mean(0) * weights[f"{prefix}.norm.mean_scale"]
    deviation = ((centred**2).mean(0) + 1e-5).sqrt()
    return weights[f"{prefix}.norm.weight"] * centred / deviation + weights[f"{prefix}.norm.bias"]


def loss_of(out, given):
    if given["classes"]:
        right = torch.tensor(given["classes"])
        weight = torch.tensor(given["classWeights"], dtype=torch.float32)
        return torch.nn.functional.cross_entropy(out, right, weight=weight, ignore_index=-1)
    outcomes = torch.tensor([float("nan") if v is None else v for v in given["outcomes"]])
    known = ~outcomes.isnan()
    return torch.nn.functional.huber_loss(out[known, 0], outcomes[known])


def answer(given):
    features = torch.tensor(given["features"], dtype=torch.float32).view(len(given["parts"]), -1)
    given["edgeTensor"] = torch.tensor(given["edgeFeatures"], dtype=torch.float32).view(len(given["sources"]), -1)
    weights = {
        entry["name"]: torch.tensor(entry["values"], dtype=torch.float32).view(entry["shape"]).requires_grad_(True)
        for entry in given["weights"]
    }
    kind = torch.optim.AdamW if given["decoupled"] else torch.optim.Adam
    optimizer = kind(weights.values(), lr=given["rate"], weight_decay=given["weightDecay"])
    result = {"losses": [], "gradients": {}}
    for step in range(given["steps"]):
        out = network(features, weights, given)
        loss = loss_of(out, given)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            result["outputs"] = out.flatten().tolist()
            result["gradients"] = {name: value.grad.flatten().tolist() for name, value in weights.items()}
        torch.nn.utils.clip_grad_norm_(weights.values(), given["normMax"])
        optimizer.step()
        result["losses"].append(loss.item())
    return result


torch.set_num_threads(1)
with open(sys.argv[1]) as file:
    cases = json.load(file)
with open(sys.argv[2], "w") as file:
    json.dump([answer(given) for given in cases], file)
