#include "attention_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

// Sums may be taken in vectors. Nothing here counts on infinities or NaN being treated specially.
#if defined(__clang__)
#pragma clang fp reassociate(on) contract(fast)
#endif

// Debian's x86-64 has SSE2 only; what the CPU has beyond it is looked for when the program runs.
#if defined(__x86_64__)
#define CTORCH_HAS_WIDE 1
#define CTORCH_WIDE __attribute__((target("avx2,fma")))
#else
#define CTORCH_HAS_WIDE 0
#endif
#define CTORCH_INLINE static inline __attribute__((always_inline))
#define CTORCH_INLINE_MEMBER inline __attribute__((always_inline))

namespace ctorch {
namespace {

/// How many edge features get loops of their own; more take the general loop.
constexpr int features_max = 4;

/// What goes into the LeakyReLU of one edge. Pointers of its own, so that the compiler knows that nothing written
/// changes what is read.
template <typename Value, int D>
struct EdgeSum {
    const Value *__restrict from, *__restrict to, *__restrict edge, *__restrict weight;
    int64_t width, features;

    CTORCH_INLINE_MEMBER EdgeSum(const AttentionArrays<Value> &a, int64_t e, const Value *from, const Value *to)
        : from(from), to(to), edge(a.edge + e * a.features), weight(a.edge_weight), width(a.heads * a.channels),
          features(D >= 0 ? D : a.features) {}

    CTORCH_INLINE_MEMBER Value operator()(int64_t c) const {
        Value sum = from[c] + to[c];
        for (int64_t d = 0; d < features; d++) sum += edge[d] * weight[d * width + c];
        return sum;
    }
};

template <typename Value, int D>
CTORCH_INLINE void forward(const AttentionArrays<Value> &a, int64_t from_node, int64_t to_node) {
    const int64_t width = a.heads * a.channels;
    for (int64_t node = from_node; node < to_node; node++) {
        const Value *to = a.target + node * width;
        Value *out = a.out + node * width;
        std::fill(out, out + width, Value(0));
        const int64_t first = a.target_first[node], last = a.target_first[node + 1];
        for (int64_t e = first; e < last; e++) {
            const Value *from = a.source + int64_t(a.sources[e]) * width;
            const EdgeSum<Value, D> sums(a, e, from, to);
            for (int64_t h = 0; h < a.heads; h++) {
                Value logit = 0;
                for (int64_t c = h * a.channels; c < (h + 1) * a.channels; c++) {
                    const Value sum = sums(c);
                    logit += a.attention[c] * (sum > 0 ? sum : a.slope * sum);
                }
                a.coefficients[e * a.heads + h] = logit;
            }
        }
        for (int64_t h = 0; h < a.heads; h++) {
            Value highest = -std::numeric_limits<Value>::max(), total = 0;
            for (int64_t e = first; e < last; e++) highest = std::max(highest, a.coefficients[e * a.heads + h]);
            for (int64_t e = first; e < last; e++) {
                Value &coefficient = a.coefficients[e * a.heads + h];
                coefficient = std::exp(coefficient - highest);
                total += coefficient;
            }
            for (int64_t e = first; e < last; e++) a.coefficients[e * a.heads + h] /= total;
        }
        for (int64_t e = first; e < last; e++) {
            const Value *from = a.source + int64_t(a.sources[e]) * width;
            for (int64_t h = 0; h < a.heads; h++) {
                const int64_t place = e * a.heads + h;
                const Value share = a.coefficients[place] * (a.mask ? a.mask[place] : Value(1));
                for (int64_t c = h * a.channels; c < (h + 1) * a.channels; c++) out[c] += share * from[c];
            }
        }
    }
}

/// The gradients of the logits into one node: through the weighted sum, the dropout and the softmax.
template <typename Value>
CTORCH_INLINE void logit_gradients(const AttentionArrays<Value> &a, int64_t node) {
    const int64_t width = a.heads * a.channels;
    const Value *out_grad = a.out_grad + node * width;
    const int64_t first = a.target_first[node], last = a.target_first[node + 1];
    for (int64_t e = first; e < last; e++) {
        const Value *from = a.source + int64_t(a.sources[e]) * width;
        for (int64_t h = 0; h < a.heads; h++) {
            const int64_t place = e * a.heads + h;
            Value share_grad = 0;
            for (int64_t c = h * a.channels; c < (h + 1) * a.channels; c++) share_grad += out_grad[c] * from[c];
            a.logit_grad[place] = share_grad * (a.mask ? a.mask[place] : Value(1));
        }
    }
    for (int64_t h = 0; h < a.heads; h++) {
        Value mean = 0;
        for (int64_t e = first; e < last; e++) {
            mean += a.coefficients[e * a.heads + h] * a.logit_grad[e * a.heads + h];
        }
        for (int64_t e = first; e < last; e++) {
            Value &gradient = a.logit_grad[e * a.heads + h];
            gradient = a.coefficients[e * a.heads + h] * (gradient - mean);
        }
    }
}

template <typename Value, int D>
CTORCH_INLINE void backward_targets(
    const AttentionArrays<Value> &a, int64_t from_node, int64_t to_node, Value *__restrict attention_grad,
    Value *__restrict weight_grad) {
    const int64_t width = a.heads * a.channels;
    const int64_t features = D >= 0 ? D : a.features;
    std::vector<Value> row_of_gradients(static_cast<size_t>(width));
    Value *__restrict gradients = row_of_gradients.data();
    for (int64_t node = from_node; node < to_node; node++) {
        logit_gradients(a, node);
        const Value *to = a.target + node * width;
        Value *__restrict to_grad = a.target_grad + node * width;
        std::fill(to_grad, to_grad + width, Value(0));
        for (int64_t e = a.target_first[node]; e < a.target_first[node + 1]; e++) {
            const Value *from = a.source + int64_t(a.sources[e]) * width;
            const EdgeSum<Value, D> sums(a, e, from, to);
            for (int64_t h = 0; h < a.heads; h++) {
                const Value logit_grad = a.logit_grad[e * a.heads + h];
                for (int64_t c = h * a.channels; c < (h + 1) * a.channels; c++) {
                    const Value sum = sums(c);
                    const Value slope = sum > 0 ? Value(1) : a.slope;
                    const Value gradient = logit_grad * a.attention[c] * slope;
                    attention_grad[c] += logit_grad * slope * sum;
                    to_grad[c] += gradient;
                    gradients[c] = gradient;
                }
            }
            for (int64_t d = 0; d < features; d++) {
                const Value feature = sums.edge[d];
                Value *__restrict row = weight_grad + d * width;
                for (int64_t c = 0; c < width; c++) row[c] += feature * gradients[c];
            }
        }
    }
}

/// The gradient of the edges' features, which only tests and stacked edge layers ask for.
template <typename Value>
CTORCH_INLINE void backward_features(const AttentionArrays<Value> &a, int64_t from_node, int64_t to_node) {
    const int64_t width = a.heads * a.channels;
    for (int64_t e = a.target_first[from_node]; e < a.target_first[to_node]; e++) {
        const Value *from = a.source + int64_t(a.sources[e]) * width;
        const Value *to = a.target + int64_t(a.targets[e]) * width;
        const EdgeSum<Value, -1> sums(a, e, from, to);
        Value *edge_grad = a.edge_grad + e * a.features;
        std::fill(edge_grad, edge_grad + a.features, Value(0));
        for (int64_t c = 0; c < width; c++) {
            const Value sum = sums(c);
            const Value logit_grad = a.logit_grad[e * a.heads + c / a.channels];
            const Value gradient = logit_grad * a.attention[c] * (sum > 0 ? Value(1) : a.slope);
            for (int64_t d = 0; d < a.features; d++) edge_grad[d] += gradient * a.edge_weight[d * width + c];
        }
    }
}

template <typename Value, int D>
CTORCH_INLINE void backward_sources(const AttentionArrays<Value> &a, int64_t from_node, int64_t to_node) {
    const int64_t width = a.heads * a.channels;
    for (int64_t node = from_node; node < to_node; node++) {
        const Value *from = a.source + node * width;
        Value *__restrict from_grad = a.source_grad + node * width;
        std::fill(from_grad, from_grad + width, Value(0));
        for (int64_t place = a.source_first[node]; place < a.source_first[node + 1]; place++) {
            const int64_t e = a.by_source[place];
            const int64_t target = a.targets[e];
            const Value *to = a.target + target * width;
            const Value *out_grad = a.out_grad + target * width;
            const EdgeSum<Value, D> sums(a, e, from, to);
            for (int64_t h = 0; h < a.heads; h++) {
                const Value logit_grad = a.logit_grad[e * a.heads + h];
                const Value kept = a.mask ? a.mask[e * a.heads + h] : Value(1);
                const Value share = a.coefficients[e * a.heads + h] * kept;
                for (int64_t c = h * a.channels; c < (h + 1) * a.channels; c++) {
                    const Value sum = sums(c);
                    from_grad[c] +=
                        share * out_grad[c] + logit_grad * a.attention[c] * (sum > 0 ? Value(1) : a.slope);
                }
            }
        }
    }
}

/// Calls the loop that was made for this number of edge features.
#define CTORCH_FOR_FEATURES(Loop, ...)                       \
    switch (a.features) {                                    \
    case 0: Loop<Value, 0>(__VA_ARGS__); break;              \
    case 1: Loop<Value, 1>(__VA_ARGS__); break;              \
    case 2: Loop<Value, 2>(__VA_ARGS__); break;              \
    case 3: Loop<Value, 3>(__VA_ARGS__); break;              \
    case features_max: Loop<Value, features_max>(__VA_ARGS__); break; \
    default: Loop<Value, -1>(__VA_ARGS__);                   \
    }

#define CTORCH_DEFINE_LOOPS(Name, Attribute)                                                                 \
    template <typename Value>                                                                                \
    Attribute void forward_##Name(const AttentionArrays<Value> &a, int64_t from, int64_t to) {               \
        CTORCH_FOR_FEATURES(forward, a, from, to)                                                            \
    }                                                                                                        \
    template <typename Value>                                                                                \
    Attribute void backward_targets_##Name(                                                                  \
        const AttentionArrays<Value> &a, int64_t from, int64_t to, Value *attention_grad,                    \
        Value *weight_grad) {                                                                                \
        CTORCH_FOR_FEATURES(backward_targets, a, from, to, attention_grad, weight_grad)                      \
        if (a.edge_grad) backward_features(a, from, to);                                                     \
    }                                                                                                        \
    template <typename Value>                                                                                \
    Attribute void backward_sources_##Name(const AttentionArrays<Value> &a, int64_t from, int64_t to) {      \
        CTORCH_FOR_FEATURES(backward_sources, a, from, to)                                                   \
    }

CTORCH_DEFINE_LOOPS(plain, )

#if CTORCH_HAS_WIDE
CTORCH_DEFINE_LOOPS(wide, CTORCH_WIDE)

bool is_wide() {
    static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return wide;
}
#endif

}  // namespace

#if CTORCH_HAS_WIDE
#define CTORCH_CALL(Loop, ...) return is_wide() ? Loop##_wide(__VA_ARGS__) : Loop##_plain(__VA_ARGS__)
#else
#define CTORCH_CALL(Loop, ...) return Loop##_plain(__VA_ARGS__)
#endif

template <typename Value>
void attention_forward(const AttentionArrays<Value> &arrays, int64_t from, int64_t to) {
    CTORCH_CALL(forward, arrays, from, to);
}

template <typename Value>
void attention_backward_targets(
    const AttentionArrays<Value> &arrays, int64_t from, int64_t to, Value *attention_grad, Value *weight_grad) {
    CTORCH_CALL(backward_targets, arrays, from, to, attention_grad, weight_grad);
}

template <typename Value>
void attention_backward_sources(const AttentionArrays<Value> &arrays, int64_t from, int64_t to) {
    CTORCH_CALL(backward_sources, arrays, from, to);
}

#define CTORCH_INSTANTIATE(Value)                                                                             \
    template void attention_forward(const AttentionArrays<Value> &, int64_t, int64_t);                        \
    template void attention_backward_targets(const AttentionArrays<Value> &, int64_t, int64_t, Value *, Value *); \
    template void attention_backward_sources(const AttentionArrays<Value> &, int64_t, int64_t);
CTORCH_INSTANTIATE(float)
CTORCH_INSTANTIATE(double)

}  // namespace ctorch
