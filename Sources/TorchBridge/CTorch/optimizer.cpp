// Adam and AdamW, and the clipping of gradients.
#include "support.h"

using ctorch::guarded;

namespace {

void step(at::Tensor &parameter, at::Tensor &first, at::Tensor &second, const ctorch_adam &settings) {
    auto gradient = parameter.grad();
    if (settings.decoupled) {
        parameter.mul_(1 - settings.rate * settings.weight_decay);
    } else if (settings.weight_decay != 0) {
        gradient = gradient.add(parameter, settings.weight_decay);
    }
    first.mul_(settings.beta1).add_(gradient, 1 - settings.beta1);
    second.mul_(settings.beta2).addcmul_(gradient, gradient, 1 - settings.beta2);
    const double step = static_cast<double>(settings.step);
    const double first_share = 1 - std::pow(settings.beta1, step);
    const double second_share = 1 - std::pow(settings.beta2, step);
    const auto deviation = (second.sqrt() / std::sqrt(second_share)).add_(settings.epsilon);
    parameter.addcdiv_(first, deviation, -settings.rate / first_share);
}

}  // namespace

int ctorch_adam_step(
    ctorch_tensor *const *parameters, ctorch_tensor *const *first, ctorch_tensor *const *second, int32_t count,
    const ctorch_adam *settings) {
    return guarded([&] {
        at::NoGradGuard unrecorded;
        for (int32_t index = 0; index < count; index++) {
            auto &parameter = parameters[index]->value;
            if (!parameter.grad().defined()) continue;
            step(parameter, first[index]->value, second[index]->value, *settings);
        }
    });
}

int ctorch_clip_gradients(
    ctorch_tensor *const *parameters, int32_t count, double norm_max, double *norm) {
    return guarded([&] {
        at::NoGradGuard unrecorded;
        double squares = 0;
        for (int32_t index = 0; index < count; index++) {
            const auto &gradient = parameters[index]->value.grad();
            if (gradient.defined()) squares += gradient.square().sum().to(at::kDouble).item<double>();
        }
        *norm = std::sqrt(squares);
        // As PyTorch does it: a little less than the bound.
        const double scale = norm_max / (*norm + 1e-6);
        if (scale >= 1) return;
        for (int32_t index = 0; index < count; index++) {
            auto &gradient = parameters[index]->value.mutable_grad();
            if (gradient.defined()) gradient.mul_(scale);
        }
    });
}
