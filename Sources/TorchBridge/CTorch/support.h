// What the files of this shim share: handles, and the one place where exceptions end.
#pragma once
#include <ATen/ATen.h>
#include <c10/util/Optional.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ctorch.h"

struct ctorch_tensor {
    at::Tensor value;
};

/// Edges in order of their target; `source_first` and `by_source` list the same edges by source.
struct ctorch_edges {
    int64_t nodes = 0;
    int64_t edges = 0;
    std::vector<int32_t> sources;       // [E]
    std::vector<int32_t> targets;       // [E], rising
    std::vector<int64_t> target_first;  // [N + 1]: the edges into a node
    std::vector<int64_t> source_first;  // [N + 1]: the places in by_source of the edges out of a node
    std::vector<int32_t> by_source;     // [E]: edge numbers
    at::Tensor source_index;            // [E], on the graph's device
    at::Tensor target_index;
};

/// Shared with what autograd recorded, which may outlive the caller's handle.
struct ctorch_graph {
    std::shared_ptr<const ctorch_edges> edges;
};

namespace ctorch {

void set_error(const std::string &message);

/// Runs `body`; what it throws becomes 1 and a message.
template <typename Body>
int guarded(Body body) {
    try {
        body();
        return 0;
    } catch (const c10::Error &error) {
        set_error(error.what_without_backtrace());
    } catch (const std::exception &error) {
        set_error(error.what());
    } catch (...) {
        set_error("an exception of an unknown kind");
    }
    return 1;
}

inline void give(at::Tensor value, ctorch_tensor **out) { *out = new ctorch_tensor{std::move(value)}; }

inline at::Tensor or_undefined(const ctorch_tensor *tensor) { return tensor ? tensor->value : at::Tensor(); }

inline c10::optional<at::Tensor> or_none(const ctorch_tensor *tensor) {
    return tensor ? c10::optional<at::Tensor>(tensor->value) : c10::nullopt;
}

inline at::ScalarType scalar_type(int32_t type) {
    switch (type) {
    case CTORCH_FLOAT32: return at::kFloat;
    case CTORCH_FLOAT64: return at::kDouble;
    case CTORCH_INT64: return at::kLong;
    default: throw std::invalid_argument("no such type of values: " + std::to_string(type));
    }
}

inline at::Device device(int32_t index) {
    return index < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

/// GATv2's attention; features, edge_weight and mask may be undefined.
struct Attention {
    std::shared_ptr<const ctorch_edges> edges;
    at::Tensor source, target, features, edge_weight, attention, mask;
    double slope;
};

at::Tensor fused_attention(const Attention &input);
at::Tensor composed_attention(const Attention &input);

/// Runs `body(context, part)` for each of `parts`, on as many threads as were set.
void for_each_part(int64_t parts, void (*body)(void *context, int64_t part), void *context);

}  // namespace ctorch
