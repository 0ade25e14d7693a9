// The layers' operations, by libtorch's own, so that they run and differentiate on every device.
#include "support.h"

using ctorch::give;
using ctorch::guarded;
using ctorch::or_none;

namespace {

constexpr double norm_epsilon = 1e-5;

/// A bijection of 64 bits whose outputs for neighbours look unrelated (Steele, Lea, Flood 2014, SplitMix64).
uint64_t mixed(uint64_t value) {
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

template <typename Value>
void fill_mask(Value *mask, int64_t count, double probability, uint64_t seed) {
    const auto kept = static_cast<Value>(1 / (1 - probability));
    const uint64_t start = mixed(seed);
    for (int64_t place = 0; place < count; place++) {
        // The upper 53 bits as a fraction in [0, 1).
        const double drawn =
            static_cast<double>(mixed(start + static_cast<uint64_t>(place)) >> 11) * 0x1.0p-53;
        mask[place] = drawn < probability ? Value(0) : kept;
    }
}

}  // namespace

int ctorch_add(const ctorch_tensor *a, const ctorch_tensor *b, ctorch_tensor **out) {
    return guarded([&] { give(at::add(a->value, b->value), out); });
}

int ctorch_multiply(const ctorch_tensor *a, const ctorch_tensor *b, ctorch_tensor **out) {
    return guarded([&] { give(at::mul(a->value, b->value), out); });
}

int ctorch_sum(const ctorch_tensor *a, ctorch_tensor **out) {
    return guarded([&] { give(at::sum(a->value), out); });
}

int ctorch_linear(
    const ctorch_tensor *x, const ctorch_tensor *weight, const ctorch_tensor *bias, ctorch_tensor **out) {
    return guarded([&] { give(at::linear(x->value, weight->value, or_none(bias)), out); });
}

int ctorch_relu(const ctorch_tensor *x, ctorch_tensor **out) {
    return guarded([&] { give(at::relu(x->value), out); });
}

int ctorch_elu(const ctorch_tensor *x, ctorch_tensor **out) {
    return guarded([&] { give(at::elu(x->value), out); });
}

int ctorch_log_softmax(const ctorch_tensor *x, ctorch_tensor **out) {
    return guarded([&] { give(at::log_softmax(x->value, -1), out); });
}

int ctorch_mean_heads(const ctorch_tensor *x, int64_t heads, ctorch_tensor **out) {
    return guarded([&] { give(x->value.view({x->value.size(0), heads, -1}).mean(1), out); });
}

int ctorch_layer_norm(
    const ctorch_tensor *x, const ctorch_tensor *weight, const ctorch_tensor *bias, ctorch_tensor **out) {
    return guarded([&] {
        give(at::layer_norm(x->value, {x->value.size(-1)}, weight->value, bias->value, norm_epsilon), out);
    });
}

int ctorch_graph_norm(
    const ctorch_tensor *x, const ctorch_tensor *part, int64_t parts, const ctorch_tensor *weight,
    const ctorch_tensor *bias, const ctorch_tensor *mean_scale, ctorch_tensor **out) {
    return guarded([&] {
        const auto &value = x->value;
        const auto ones = at::ones({value.size(0), 1}, value.options());
        const auto count = at::zeros({parts, 1}, value.options()).index_add(0, part->value, ones).clamp_min(1);
        const auto mean_of = [&](const at::Tensor &tensor) {
            const auto total = at::zeros({parts, tensor.size(1)}, tensor.options());
            return (total.index_add(0, part->value, tensor) / count).index_select(0, part->value);
        };
        const auto centred = value - mean_of(value) * mean_scale->value;
        const auto deviation = (mean_of(centred * centred) + norm_epsilon).sqrt();
        give(weight->value * centred / deviation + bias->value, out);
    });
}

int ctorch_nll_loss(
    const ctorch_tensor *log_p, const ctorch_tensor *classes, const ctorch_tensor *weights,
    ctorch_tensor **out) {
    return guarded([&] {
        give(at::nll_loss(log_p->value, classes->value, or_none(weights), at::Reduction::Mean, -1), out);
    });
}

int ctorch_huber_loss(
    const ctorch_tensor *x, const ctorch_tensor *target, const ctorch_tensor *mask, ctorch_tensor **out) {
    return guarded([&] {
        const auto each = at::huber_loss(x->value, target->value, at::Reduction::None, 1.0);
        give((each * mask->value).sum() / mask->value.sum(), out);
    });
}

int ctorch_dropout_mask(
    int64_t rows, int64_t columns, double probability, uint64_t seed, ctorch_type type, int32_t device,
    ctorch_tensor **out) {
    return guarded([&] {
        if (!(probability >= 0 && probability < 1)) throw std::invalid_argument("a probability under 1 is needed");
        auto mask = at::empty({rows, columns}, at::TensorOptions().dtype(ctorch::scalar_type(type)));
        AT_DISPATCH_FLOATING_TYPES(mask.scalar_type(), "dropout_mask", [&] {
            fill_mask(mask.data_ptr<scalar_t>(), mask.numel(), probability, seed);
        });
        give(mask.to(ctorch::device(device)), out);
    });
}
