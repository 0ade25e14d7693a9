// GATv2's attention: fused loops for the CPU, libtorch's operations for every device.
#include "attention_kernels.h"
#include "support.h"

#include <torch/csrc/autograd/custom_function.h>

using ctorch::Attention;
using ctorch::AttentionArrays;
using ctorch::guarded;

namespace {

/// Into how many parts the nodes are cut: fixed, so that sums do not depend on the number of threads.
constexpr int64_t parts_max = 16;

/// The first node of each part and N at the end: parts of about as many edges, by `first`, the nodes' first edges.
std::vector<int64_t> cut(const std::vector<int64_t> &first) {
    const int64_t nodes = static_cast<int64_t>(first.size()) - 1;
    const int64_t parts = std::max<int64_t>(1, std::min(parts_max, nodes));
    std::vector<int64_t> cuts(static_cast<size_t>(parts) + 1, 0);
    for (int64_t part = 1; part < parts; part++) {
        const int64_t edge = first.back() * part / parts;
        const auto found = std::lower_bound(first.begin(), first.end() - 1, edge) - first.begin();
        cuts[part] = std::max<int64_t>(cuts[part - 1], found);
    }
    cuts[parts] = nodes;
    return cuts;
}

/// Calls `body(part, from, to)` for each part on the threads that were set.
template <typename Body>
void for_parts(const std::vector<int64_t> &cuts, Body body) {
    struct Context {
        const std::vector<int64_t> &cuts;
        Body &body;
    } context{cuts, body};
    ctorch::for_each_part(
        static_cast<int64_t>(cuts.size()) - 1,
        [](void *opaque, int64_t part) {
            auto &self = *static_cast<Context *>(opaque);
            self.body(part, self.cuts[part], self.cuts[part + 1]);
        },
        &context);
}

template <typename Value>
Value *data(const at::Tensor &tensor) {
    return tensor.defined() ? tensor.data_ptr<Value>() : nullptr;
}

/// The inputs as the loops want them: contiguous, the edges' weight with a row for each feature.
struct Prepared {
    at::Tensor source, target, features, weight, attention, mask;
    int64_t heads, channels;

    explicit Prepared(const Attention &input)
        : source(input.source.contiguous()), target(input.target.contiguous()),
          attention(input.attention.contiguous()), heads(input.attention.size(0)),
          channels(input.attention.size(1)) {
        if (input.features.defined()) {
            features = input.features.contiguous();
            weight = input.edge_weight.t().contiguous();
        }
        if (input.mask.defined()) mask = input.mask.contiguous();
    }

    template <typename Value>
    AttentionArrays<Value> arrays(const ctorch_edges &graph, double slope, const at::Tensor &coefficients) const {
        AttentionArrays<Value> arrays{};
        arrays.heads = heads;
        arrays.channels = channels;
        arrays.features = features.defined() ? features.size(1) : 0;
        arrays.sources = graph.sources.data();
        arrays.targets = graph.targets.data();
        arrays.target_first = graph.target_first.data();
        arrays.source_first = graph.source_first.data();
        arrays.by_source = graph.by_source.data();
        arrays.source = data<Value>(source);
        arrays.target = data<Value>(target);
        arrays.edge = data<Value>(features);
        arrays.edge_weight = data<Value>(weight);
        arrays.attention = data<Value>(attention);
        arrays.mask = data<Value>(mask);
        arrays.slope = static_cast<Value>(slope);
        arrays.coefficients = data<Value>(coefficients);
        return arrays;
    }
};

struct Gradients {
    at::Tensor source, target, features, edge_weight, attention;
};

template <typename Value>
Gradients backward(
    const Attention &input, const at::Tensor &coefficients, const at::Tensor &out_grad, bool wants_features) {
    const Prepared prepared(input);
    auto arrays = prepared.arrays<Value>(*input.edges, input.slope, coefficients);
    const int64_t width = prepared.heads * prepared.channels;
    const auto options = prepared.source.options();
    const auto target_cuts = cut(input.edges->target_first);
    const int64_t parts = static_cast<int64_t>(target_cuts.size()) - 1;

    Gradients result{at::empty_like(prepared.source), at::empty_like(prepared.target), {}, {}, {}};
    const auto logit_grad = at::empty_like(coefficients);
    const auto attention_parts = at::zeros({parts, width}, options);
    const at::Tensor weight_parts = at::zeros({parts, arrays.features, width}, options);
    if (wants_features) result.features = at::empty_like(prepared.features);
    arrays.out_grad = out_grad.data_ptr<Value>();
    arrays.logit_grad = logit_grad.data_ptr<Value>();
    arrays.source_grad = result.source.data_ptr<Value>();
    arrays.target_grad = result.target.data_ptr<Value>();
    arrays.edge_grad = data<Value>(result.features);

    auto *attention_sums = attention_parts.data_ptr<Value>();
    auto *weight_sums = weight_parts.data_ptr<Value>();
    for_parts(target_cuts, [&](int64_t part, int64_t from, int64_t to) {
        ctorch::attention_backward_targets(
            arrays, from, to, attention_sums + part * width, weight_sums + part * arrays.features * width);
    });
    for_parts(cut(input.edges->source_first), [&](int64_t, int64_t from, int64_t to) {
        ctorch::attention_backward_sources(arrays, from, to);
    });
    result.attention = attention_parts.sum(0).view_as(input.attention);
    if (input.features.defined()) result.edge_weight = weight_parts.sum(0).t();
    return result;
}

/// Keeps the edges until the way back is done.
struct EdgeHolder : torch::CustomClassHolder {
    explicit EdgeHolder(std::shared_ptr<const ctorch_edges> edges) : edges(std::move(edges)) {}
    std::shared_ptr<const ctorch_edges> edges;
};

/// The fused attention with its own derivative.
struct FusedAttention : torch::autograd::Function<FusedAttention> {
    using Context = torch::autograd::AutogradContext;
    using Variables = torch::autograd::variable_list;
    // libtorch looks into what it is given, and an undefined tensor has no device: absent ones are none.
    using Optional = c10::optional<at::Tensor>;

    static at::Tensor forward(
        Context *context, const at::Tensor &source, const at::Tensor &target, const at::Tensor &attention,
        const Optional &features, const Optional &edge_weight, const Optional &mask, double slope,
        std::shared_ptr<const ctorch_edges> edges) {
        const Attention input{
            edges, source, target, features.value_or(at::Tensor()), edge_weight.value_or(at::Tensor()), attention,
            mask.value_or(at::Tensor()), slope};
        const Prepared prepared(input);
        const auto coefficients = at::empty({edges->edges, prepared.heads}, prepared.source.options());
        const auto out = at::empty_like(prepared.source);
        AT_DISPATCH_FLOATING_TYPES(out.scalar_type(), "attention", [&] {
            auto arrays = prepared.arrays<scalar_t>(*edges, slope, coefficients);
            arrays.out = out.template data_ptr<scalar_t>();
            for_parts(cut(edges->target_first), [&](int64_t, int64_t from, int64_t to) {
                ctorch::attention_forward(arrays, from, to);
            });
        });
        context->save_for_backward(
            {source, target, input.features, input.edge_weight, attention, input.mask, coefficients});
        context->saved_data["slope"] = slope;
        context->saved_data["wants_features"] = input.features.defined() && input.features.requires_grad();
        context->saved_data["edges"] = c10::IValue::make_capsule(c10::make_intrusive<EdgeHolder>(std::move(edges)));
        return out;
    }

    static Variables backward(Context *context, Variables out_grads) {
        const auto saved = context->get_saved_variables();
        const auto holder = context->saved_data["edges"].toCapsule();
        const Attention input{
            static_cast<EdgeHolder *>(holder.get())->edges, saved[0], saved[1], saved[2], saved[3], saved[4],
            saved[5], context->saved_data["slope"].toDouble()};
        const auto out_grad = out_grads[0].contiguous();
        Gradients gradients;
        AT_DISPATCH_FLOATING_TYPES(out_grad.scalar_type(), "attention_backward", [&] {
            gradients = ::backward<scalar_t>(
                input, saved[6], out_grad, context->saved_data["wants_features"].toBool());
        });
        return {
            gradients.source, gradients.target, gradients.attention, gradients.features, gradients.edge_weight,
            at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

at::Tensor ctorch::fused_attention(const Attention &input) {
    const auto optional = [](const at::Tensor &tensor) {
        return tensor.defined() ? c10::optional<at::Tensor>(tensor) : c10::nullopt;
    };
    return FusedAttention::apply(
        input.source, input.target, input.attention, optional(input.features), optional(input.edge_weight),
        optional(input.mask), input.slope, input.edges);
}

namespace {

/// The greatest logit of each node and head. libtorch 1.13 says once on standard error that this operation may change.
at::Tensor highest_logits(const at::Tensor &logits, const at::Tensor &targets, int64_t nodes) {
    const auto places = targets.unsqueeze(1).expand_as(logits);
    const auto least = -std::numeric_limits<double>::infinity();
    return at::full({nodes, logits.size(1)}, least, logits.options()).scatter_reduce(0, places, logits, "amax");
}

}  // namespace

at::Tensor ctorch::composed_attention(const Attention &input) {
    const int64_t nodes = input.edges->nodes, edges = input.edges->edges;
    const int64_t heads = input.attention.size(0), channels = input.attention.size(1);
    const auto &sources = input.edges->source_index;
    const auto &targets = input.edges->target_index;
    const auto from = input.source.index_select(0, sources);
    auto sum = from + input.target.index_select(0, targets);
    if (input.features.defined()) sum = sum + at::linear(input.features, input.edge_weight);
    const auto activated = at::leaky_relu(sum, input.slope).view({edges, heads, channels});
    const auto logits = (activated * input.attention).sum(-1);
    // The greatest logit of a node changes no coefficient: it has no gradient.
    const auto highest = highest_logits(logits.detach(), targets, nodes);
    const auto powers = (logits - highest.index_select(0, targets)).exp();
    const auto totals = at::zeros({nodes, heads}, logits.options()).index_add(0, targets, powers);
    auto coefficients = powers / totals.index_select(0, targets);
    if (input.mask.defined()) coefficients = coefficients * input.mask;
    const auto shares = (from.view({edges, heads, channels}) * coefficients.unsqueeze(-1)).view({edges, -1});
    return at::zeros({nodes, heads * channels}, shares.options()).index_add(0, targets, shares);
}

namespace {

void require(bool holds, const char *what) {
    if (!holds) throw std::invalid_argument(what);
}

void check(const Attention &input) {
    require(input.attention.dim() == 2, "attention must be [heads, channels]");
    const std::vector<int64_t> nodes{input.edges->nodes, input.attention.numel()};
    require(input.source.sizes().equals(nodes), "source must be [nodes, heads * channels]");
    require(input.target.sizes().equals(nodes), "target must be [nodes, heads * channels]");
    require(
        input.features.defined() == input.edge_weight.defined(),
        "edge features and their weight come together or not at all");
    const auto type = input.source.scalar_type();
    for (const auto &tensor : {input.target, input.features, input.edge_weight, input.attention, input.mask}) {
        require(!tensor.defined() || tensor.scalar_type() == type, "all must have one type of values");
        require(
            !tensor.defined() || tensor.device() == input.source.device(), "all must be on one device");
    }
    if (input.features.defined()) {
        require(
            input.features.dim() == 2 && input.features.size(0) == input.edges->edges,
            "edge features must be [edges, features]");
        require(
            input.edge_weight.sizes() == at::IntArrayRef({input.attention.numel(), input.features.size(1)}),
            "the weight of edge features must be [heads * channels, features]");
    }
    require(
        !input.mask.defined() ||
            input.mask.sizes() == at::IntArrayRef({input.edges->edges, input.attention.size(0)}),
        "the mask must be [edges, heads]");
}

/// Where the edges of each node begin, by how many each has.
std::vector<int64_t> firsts(int64_t nodes, const std::vector<int32_t> &ends) {
    std::vector<int64_t> first(static_cast<size_t>(nodes) + 1, 0);
    for (const auto node : ends) first[static_cast<size_t>(node) + 1]++;
    for (size_t node = 0; node < static_cast<size_t>(nodes); node++) first[node + 1] += first[node];
    return first;
}

}  // namespace

int ctorch_graph_new(
    int64_t nodes, int64_t edges, const int32_t *sources, const int32_t *targets, int32_t device,
    ctorch_graph **out) {
    return guarded([&] {
        auto made = std::make_shared<ctorch_edges>();
        made->nodes = nodes;
        made->edges = edges;
        made->sources.assign(sources, sources + edges);
        made->targets.assign(targets, targets + edges);
        for (int64_t e = 0; e < edges; e++) {
            require(sources[e] >= 0 && sources[e] < nodes, "an edge comes from a node that is not there");
            require(targets[e] >= 0 && targets[e] < nodes, "an edge goes to a node that is not there");
            require(e == 0 || targets[e - 1] <= targets[e], "edges must be in order of their targets");
        }
        made->target_first = firsts(nodes, made->targets);
        made->source_first = firsts(nodes, made->sources);
        made->by_source.resize(static_cast<size_t>(edges));
        auto next = made->source_first;
        for (int64_t e = 0; e < edges; e++) made->by_source[next[sources[e]]++] = static_cast<int32_t>(e);
        const auto index = [&](std::vector<int32_t> &ends) {
            return at::from_blob(ends.data(), {edges}, at::TensorOptions().dtype(at::kInt))
                .to(ctorch::device(device), at::kLong, false, true);
        };
        made->source_index = index(made->sources);
        made->target_index = index(made->targets);
        *out = new ctorch_graph{std::move(made)};
    });
}

void ctorch_graph_free(ctorch_graph *graph) { delete graph; }

int ctorch_attention(const ctorch_attention_input *input, ctorch_tensor **out) {
    return guarded([&] {
        const Attention attention{
            input->graph->edges,
            input->source->value,
            input->target->value,
            ctorch::or_undefined(input->features),
            ctorch::or_undefined(input->edge_weight),
            input->attention->value,
            ctorch::or_undefined(input->mask),
            input->slope};
        check(attention);
        const bool fused = attention.source.device().is_cpu() && input->composed == 0;
        ctorch::give(fused ? ctorch::fused_attention(attention) : ctorch::composed_attention(attention), out);
    });
}
