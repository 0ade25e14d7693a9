"""GATv2's attention by the paper's formula, node by node, with PyTorch's own operations and derivatives.

usage: torch_reference.py input.json output.json; both are lists of cases
"""
import json
import sys

import torch


def attention(source, target, features, edge_weight, weights, mask, edges, slope):
    nodes, (heads, channels) = source.shape[0], weights.shape
    rows = []
    for node in range(nodes):
        into = [e for e, (_, end) in enumerate(edges) if end == node]
        if not into:
            rows.append(torch.zeros(heads * channels, dtype=source.dtype))
            continue
        neighbours = source[[edges[e][0] for e in into]]
        inner = neighbours + target[node]
        if features is not None:
            inner = inner + features[into] @ edge_weight.T
        inner = torch.nn.functional.leaky_relu(inner, slope).view(len(into), heads, channels)
        shares = torch.softmax((inner * weights).sum(-1), dim=0)
        if mask is not None:
            shares = shares * mask[into]
        rows.append((shares.unsqueeze(-1) * neighbours.view(len(into), heads, channels)).sum(0).flatten())
    return torch.stack(rows)


def answer(given):
    kind = torch.float64 if given["double"] else torch.float32
    tensors = {
        name: torch.tensor(entry["values"], dtype=kind).reshape(entry["shape"]).requires_grad_(name != "mask")
        for name, entry in given["tensors"].items()
    }
    edges = list(zip(given["sources"], given["targets"]))
    inputs = [tensors.get(name) for name in ("source", "target", "features", "edgeWeight", "attention", "mask")]
    out = attention(*inputs, edges, given["slope"])
    weights = torch.tensor(given["outWeights"], dtype=kind).reshape(out.shape)
    (out * weights).sum().backward()
    result = {"out": out.flatten().tolist()}
    for name, tensor in tensors.items():
        if tensor.grad is not None:
            result[name] = tensor.grad.flatten().tolist()
    return result


with open(sys.argv[1]) as file:
    cases = json.load(file)
with open(sys.argv[2], "w") as file:
    json.dump([answer(given) for given in cases], file)
