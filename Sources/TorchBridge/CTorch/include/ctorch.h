// The part of libtorch that the trainer uses, as C: tensors, autograd, the layers' operations, an optimizer's step.
//
// Every function that can fail returns 0, or 1 with the reason in ctorch_last_error(). No C++ exception leaves it.
// A tensor that comes out of a function belongs to the caller: ctorch_tensor_free(). Names of dimensions: N nodes,
// E edges, H heads, C channels of a head, D features of an edge.
#ifndef CTORCH_H
#define CTORCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ctorch_tensor ctorch_tensor;
typedef struct ctorch_graph ctorch_graph;

typedef enum { CTORCH_FLOAT32 = 0, CTORCH_FLOAT64 = 1, CTORCH_INT64 = 2 } ctorch_type;

/// Why the last call on this thread failed; valid until the next failure on it.
const char *ctorch_last_error(void);

// ---- The process -----------------------------------------------------------------------------------------

/// The number of threads that libtorch, its BLAS and the edge loops use; once for the process, before all else.
int ctorch_set_threads(int32_t count);
int32_t ctorch_threads(void);

/// How many CUDA devices can be used; 0 where libtorch has no CUDA part or the machine no device.
int32_t ctorch_cuda_devices(void);

/// The version that this was compiled against, e.g. 1.13.1.
const char *ctorch_version(void);

/// Whether operations are recorded for backward(), on this thread.
int32_t ctorch_grad_enabled(void);
void ctorch_set_grad_enabled(int32_t enabled);

// ---- Tensors. A device is -1 for the CPU or the index of a CUDA device. ----------------------------------------

/// Copies `values`, in row-major order.
int ctorch_tensor_new(
    const void *values, ctorch_type type, const int64_t *sizes, int32_t dimensions, int32_t device,
    ctorch_tensor **out);
void ctorch_tensor_free(ctorch_tensor *tensor);
/// Copies the values out; `bytes` must be exactly what they take.
int ctorch_tensor_read(const ctorch_tensor *tensor, void *values, int64_t bytes);
/// Overwrites the values with those of another tensor of the same shape, unrecorded.
int ctorch_tensor_assign(ctorch_tensor *tensor, const ctorch_tensor *values);
int32_t ctorch_tensor_dimensions(const ctorch_tensor *tensor);
int64_t ctorch_tensor_size(const ctorch_tensor *tensor, int32_t dimension);
/// -1 for a type that this header does not name.
int32_t ctorch_tensor_type(const ctorch_tensor *tensor);
int32_t ctorch_tensor_device(const ctorch_tensor *tensor);

// ---- Autograd ------------------------------------------------------------------------------------------------

int ctorch_require_grad(ctorch_tensor *tensor);
/// `out` is null when there is no gradient yet.
int ctorch_grad(const ctorch_tensor *tensor, ctorch_tensor **out);
int ctorch_clear_grad(ctorch_tensor *tensor);
/// Adds the gradients of a tensor of one element to all that require one.
int ctorch_backward(const ctorch_tensor *loss);

// ---- Operations ------------------------------------------------------------------------------------------------

int ctorch_add(const ctorch_tensor *a, const ctorch_tensor *b, ctorch_tensor **out);
int ctorch_multiply(const ctorch_tensor *a, const ctorch_tensor *b, ctorch_tensor **out);
int ctorch_sum(const ctorch_tensor *a, ctorch_tensor **out);
/// x W^T + b; `bias` may be null.
int ctorch_linear(
    const ctorch_tensor *x, const ctorch_tensor *weight, const ctorch_tensor *bias, ctorch_tensor **out);
int ctorch_relu(const ctorch_tensor *x, ctorch_tensor **out);
int ctorch_elu(const ctorch_tensor *x, ctorch_tensor **out);
int ctorch_log_softmax(const ctorch_tensor *x, ctorch_tensor **out);
/// The mean over the heads of [N, H*C].
int ctorch_mean_heads(const ctorch_tensor *x, int64_t heads, ctorch_tensor **out);
/// Layer normalisation over the last dimension.
int ctorch_layer_norm(
    const ctorch_tensor *x, const ctorch_tensor *weight, const ctorch_tensor *bias, ctorch_tensor **out);
/// GraphNorm: each feature over the nodes of each part; `part` [N] says which one a node is in.
int ctorch_graph_norm(
    const ctorch_tensor *x, const ctorch_tensor *part, int64_t parts, const ctorch_tensor *weight,
    const ctorch_tensor *bias, const ctorch_tensor *mean_scale, ctorch_tensor **out);
/// Weighted mean of -log p of the right class; rows whose class is -1 do not count. `weights` may be null.
int ctorch_nll_loss(
    const ctorch_tensor *log_p, const ctorch_tensor *classes, const ctorch_tensor *weights,
    ctorch_tensor **out);
/// Huber's loss with delta 1, the mean over elements whose `mask` is 1; the mask must have at least one.
int ctorch_huber_loss(
    const ctorch_tensor *x, const ctorch_tensor *target, const ctorch_tensor *mask, ctorch_tensor **out);
/// A mask for dropout: 0 with `probability`, else 1 / (1 - probability). A pure function of `seed` and the place.
int ctorch_dropout_mask(
    int64_t rows, int64_t columns, double probability, uint64_t seed, ctorch_type type, int32_t device,
    ctorch_tensor **out);

// ---- Graph attention ---------------------------------------------------------------------------------------------

/// Edges in order of their target, with the order by source beside it. Copies both arrays.
int ctorch_graph_new(
    int64_t nodes, int64_t edges, const int32_t *sources, const int32_t *targets, int32_t device,
    ctorch_graph **out);
void ctorch_graph_free(ctorch_graph *graph);

typedef struct {
    const ctorch_graph *graph;
    const ctorch_tensor *source;       // [N, H*C]
    const ctorch_tensor *target;       // [N, H*C]
    const ctorch_tensor *features;     // [E, D], or null
    const ctorch_tensor *edge_weight;  // [H*C, D], or null
    const ctorch_tensor *attention;    // [H, C]
    const ctorch_tensor *mask;         // [E, H], dropout of the coefficients, or null
    double slope;
    int32_t composed;  // 1: made of libtorch's operations; 0: fused loops where the CPU has the tensors
} ctorch_attention_input;

/// GATv2's attention: [N, H*C]. A node without incoming edges gets 0.
int ctorch_attention(const ctorch_attention_input *input, ctorch_tensor **out);

// ---- Optimizer -----------------------------------------------------------------------------------------------------

typedef struct {
    double rate, beta1, beta2, epsilon, weight_decay;
    int64_t step;       // from 1
    int32_t decoupled;  // 1: AdamW, 0: Adam with the decay added to the gradient
} ctorch_adam;

/// One step of all parameters that have a gradient.
int ctorch_adam_step(
    ctorch_tensor *const *parameters, ctorch_tensor *const *first, ctorch_tensor *const *second, int32_t count,
    const ctorch_adam *settings);
/// Scales all gradients so that their common Euclidean norm is at most `norm_max`.
int ctorch_clip_gradients(
    ctorch_tensor *const *parameters, int32_t count, double norm_max, double *norm);

#ifdef __cplusplus
}
#endif
#endif
