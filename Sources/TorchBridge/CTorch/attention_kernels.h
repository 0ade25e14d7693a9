// GATv2's attention as loops over edges that lie in order of their target.
#pragma once
#include <cstdint>

namespace ctorch {

/// The arrays of one attention. Dimensions: nodes N, edges E, heads H, channels C of a head, features D of an edge.
template <typename Value>
struct AttentionArrays {
    int64_t heads, channels, features;
    const int32_t *sources, *targets;
    const int64_t *target_first, *source_first;
    const int32_t *by_source;
    const Value *source, *target;  // [N, H*C]
    const Value *edge;             // [E, D]
    const Value *edge_weight;      // [D, H*C]
    const Value *attention;        // [H*C]
    const Value *mask;             // [E, H], or null
    Value slope;
    Value *coefficients;  // [E, H]: softmax, before dropout
    Value *out;           // [N, H*C]

    // What only the way back uses.
    const Value *out_grad;  // [N, H*C]
    Value *logit_grad;      // [E, H]
    Value *source_grad, *target_grad;
    Value *edge_grad;  // [E, D], or null when nobody asks
};

/// Forward for the nodes `from ..< to`.
template <typename Value>
void attention_forward(const AttentionArrays<Value> &arrays, int64_t from, int64_t to);

/// Back through the edges into `from ..< to`: gradients of target, edges and logits; adds those of the parameters.
///
/// @param attention_grad [H*C] of this caller alone
/// @param weight_grad [D, H*C] of this caller alone
template <typename Value>
void attention_backward_targets(
    const AttentionArrays<Value> &arrays, int64_t from, int64_t to, Value *attention_grad, Value *weight_grad);

/// Back through the edges out of `from ..< to`, after all targets: the gradient of source.
template <typename Value>
void attention_backward_sources(const AttentionArrays<Value> &arrays, int64_t from, int64_t to);

}  // namespace ctorch
