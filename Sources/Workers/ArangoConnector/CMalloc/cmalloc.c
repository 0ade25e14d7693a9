#include "cmalloc.h"

#include <malloc.h>

int cmalloc_set_mapped_bytes_min(int bytes) { return mallopt(M_MMAP_THRESHOLD, bytes); }

int cmalloc_set_arenas_max(int count) { return mallopt(M_ARENA_MAX, count); }
