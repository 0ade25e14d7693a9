// Threads, devices and errors: what is one for the process.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "support.h"

namespace {

thread_local std::string last_error;
std::atomic<int32_t> thread_count{0};

using GOMPParallel = void (*)(void (*)(void *), void *, unsigned, unsigned);

/// libgomp's own entry, which libtorch brings along. Its threads are the ones that libtorch's loops use; others
/// beside them would wait for the cores on which those spin.
GOMPParallel gomp_parallel() {
    static const auto entry = reinterpret_cast<GOMPParallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    return entry;
}

/// OpenBLAS has threads of its own, which libtorch does not count.
void set_blas_threads(int32_t count) {
    using Setter = void (*)(int);
    if (auto set = reinterpret_cast<Setter>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(count);
}

/// libtorch finds its CUDA part by what is loaded; a program that is linked with the CPU's only asks for it here.
void load_cuda() {
    static std::once_flag once;
    std::call_once(once, [] { dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL); });
}

struct Parts {
    std::atomic<int64_t> next{0};
    int64_t count;
    void (*body)(void *, int64_t);
    void *context;

    static void work(void *parts) {
        auto *self = static_cast<Parts *>(parts);
        for (int64_t part; (part = self->next.fetch_add(1)) < self->count;) self->body(self->context, part);
    }
};

}  // namespace

void ctorch::set_error(const std::string &message) { last_error = message; }

void ctorch::for_each_part(int64_t parts, void (*body)(void *, int64_t), void *context) {
    Parts all{{0}, parts, body, context};
    const auto threads = std::min<int64_t>(parts, ctorch_threads());
    const auto parallel = gomp_parallel();
    if (threads > 1 && parallel) {
        parallel(&Parts::work, &all, static_cast<unsigned>(threads), 0);
    } else {
        Parts::work(&all);
    }
}

const char *ctorch_last_error(void) { return last_error.c_str(); }

int ctorch_set_threads(int32_t count) {
    return ctorch::guarded([&] {
        if (count < 1) throw std::invalid_argument("at least one thread is needed, not " + std::to_string(count));
        at::set_num_threads(count);
        set_blas_threads(count);
        // libtorch allows this once, and not after it was used.
        static std::once_flag once;
        std::call_once(once, [] { at::set_num_interop_threads(1); });
        thread_count = count;
    });
}

int32_t ctorch_threads(void) {
    const int32_t count = thread_count;
    return count > 0 ? count : at::get_num_threads();
}

int32_t ctorch_cuda_devices(void) {
    int32_t count = 0;
    ctorch::guarded([&] {
        load_cuda();
        if (at::hasCUDA()) count = c10::impl::VirtualGuardImpl(at::kCUDA).deviceCount();
    });
    return count;
}

const char *ctorch_version(void) { return TORCH_VERSION; }

int32_t ctorch_grad_enabled(void) { return c10::GradMode::is_enabled() ? 1 : 0; }

void ctorch_set_grad_enabled(int32_t enabled) { c10::GradMode::set_enabled(enabled != 0); }
