// Tensors: values in and out, shapes, gradients.
#include "support.h"

using ctorch::give;
using ctorch::guarded;

int ctorch_tensor_new(
    const void *values, ctorch_type type, const int64_t *sizes, int32_t dimensions, int32_t device,
    ctorch_tensor **out) {
    return guarded([&] {
        const auto options = at::TensorOptions().dtype(ctorch::scalar_type(type));
        const at::IntArrayRef shape(sizes, static_cast<size_t>(dimensions));
        // from_blob does not own the memory: the copy does.
        auto tensor = at::from_blob(const_cast<void *>(values), shape, options).clone();
        give(tensor.to(ctorch::device(device)), out);
    });
}

void ctorch_tensor_free(ctorch_tensor *tensor) { delete tensor; }

int ctorch_tensor_read(const ctorch_tensor *tensor, void *values, int64_t bytes) {
    return guarded([&] {
        const auto here = tensor->value.detach().to(at::kCPU).contiguous();
        if (static_cast<int64_t>(here.nbytes()) != bytes) {
            throw std::invalid_argument(
                "the tensor has " + std::to_string(here.nbytes()) + " bytes, not " + std::to_string(bytes));
        }
        std::memcpy(values, here.data_ptr(), here.nbytes());
    });
}

int ctorch_tensor_assign(ctorch_tensor *tensor, const ctorch_tensor *values) {
    return guarded([&] {
        at::NoGradGuard unrecorded;
        if (tensor->value.sizes() != values->value.sizes()) throw std::invalid_argument("the shapes differ");
        tensor->value.copy_(values->value);
    });
}

int32_t ctorch_tensor_dimensions(const ctorch_tensor *tensor) {
    return static_cast<int32_t>(tensor->value.dim());
}

int64_t ctorch_tensor_size(const ctorch_tensor *tensor, int32_t dimension) {
    return tensor->value.sizes()[static_cast<size_t>(dimension)];
}

int32_t ctorch_tensor_type(const ctorch_tensor *tensor) {
    switch (tensor->value.scalar_type()) {
    case at::kFloat: return CTORCH_FLOAT32;
    case at::kDouble: return CTORCH_FLOAT64;
    case at::kLong: return CTORCH_INT64;
    default: return -1;
    }
}

int32_t ctorch_tensor_device(const ctorch_tensor *tensor) {
    return tensor->value.is_cuda() ? static_cast<int32_t>(tensor->value.get_device()) : -1;
}

int ctorch_require_grad(ctorch_tensor *tensor) {
    return guarded([&] { tensor->value.requires_grad_(true); });
}

int ctorch_grad(const ctorch_tensor *tensor, ctorch_tensor **out) {
    return guarded([&] {
        const auto gradient = tensor->value.grad();
        *out = nullptr;
        if (gradient.defined()) give(gradient, out);
    });
}

int ctorch_clear_grad(ctorch_tensor *tensor) {
    return guarded([&] { tensor->value.mutable_grad() = at::Tensor(); });
}

int ctorch_backward(const ctorch_tensor *loss) {
    return guarded([&] { loss->value.backward(); });
}
