"""Epochs of a two-layer GATv2 in PyTorch, timed: the peer of scripts/bench-gnn.

usage: gnn_peer.py THREADS CHANNELS EPOCHS; prints the median seconds of an epoch, and the last loss.

The formula is the one of docs/model.md, over edge lists as PyTorch Geometric does it: index_select, a softmax by target
with its greatest logit taken off, index_add. PyTorch's own AdamW with its quickest implementation for the CPU.
"""
import statistics
import sys
import time

import torch

NODES, EDGES, FEATURES, EDGE_FEATURES, HEADS, WARMUP = 1_000, 20_000, 32, 3, 4, 5


class GATv2(torch.nn.Module):
    def __init__(self, inputs, channels):
        super().__init__()
        self.channels = channels
        width = HEADS * channels
        self.source = torch.nn.Linear(inputs, width)
        self.target = torch.nn.Linear(inputs, width)
        self.edge = torch.nn.Linear(EDGE_FEATURES, width, bias=False)
        self.attention = torch.nn.Parameter(torch.randn(HEADS, channels) * 0.1)
        self.bias = torch.nn.Parameter(torch.zeros(width))

    def forward(self, x, sources, targets, features):
        source, target = self.source(x), self.target(x)
        taken = source.index_select(0, sources)
        inner = taken + target.index_select(0, targets) + self.edge(features)
        inner = torch.nn.functional.leaky_relu(inner, 0.2).view(-1, HEADS, self.channels)
        logits = (inner * self.attention).sum(-1)
        places = targets.unsqueeze(1).expand_as(logits)
        highest = torch.full((len(x), HEADS), -torch.inf).scatter_reduce(0, places, logits.detach(), "amax")
        powers = (logits - highest.index_select(0, targets)).exp()
        totals = torch.zeros(len(x), HEADS).index_add(0, targets, powers)
        shares = (powers / totals.index_select(0, targets)).unsqueeze(-1)
        values = (taken.view(-1, HEADS, self.channels) * shares).flatten(1)
        out = torch.zeros(len(x), HEADS * self.channels).index_add(0, targets, values)
        return torch.nn.functional.elu(out + self.bias)


def main():
    threads, channels, epochs = (int(argument) for argument in sys.argv[1:])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    x = torch.rand(NODES, FEATURES) * 2 - 1
    targets = torch.randint(0, NODES, (EDGES,)).sort().values
    sources = torch.randint(0, NODES, (EDGES,))
    features = torch.rand(EDGES, EDGE_FEATURES) * 2 - 1
    classes = torch.randint(0, 3, (NODES,))
    first, second = GATv2(FEATURES, channels), GATv2(HEADS * channels, channels)
    head = torch.nn.Linear(HEADS * channels, 3)
    parameters = [p for part in (first, second, head) for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.001, weight_decay=0.01)
    seconds = []
    for _ in range(epochs + WARMUP):
        start = time.perf_counter()
        hidden = second(first(x, sources, targets, features), sources, targets, features)
        loss = torch.nn.functional.cross_entropy(head(hidden), classes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        last = loss.item()
        seconds.append(time.perf_counter() - start)
    print(statistics.median(seconds[WARMUP:]), last)


main()
