#define _GNU_SOURCE
#include "cposix.h"

#include <malloc.h>

int cposix_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *path) {
    return posix_spawn_file_actions_addchdir_np(actions, path);
}

int cposix_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest) {
    return posix_spawn_file_actions_addclosefrom_np(actions, lowest);
}

int cposix_set_heaps_max(int count) { return mallopt(M_ARENA_MAX, count); }

int cposix_set_mapped_bytes_min(int bytes) { return mallopt(M_MMAP_THRESHOLD, bytes); }
