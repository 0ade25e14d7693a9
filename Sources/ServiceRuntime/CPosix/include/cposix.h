#pragma once
// What Swift's Glibc module does not show.
// The GNU extensions of posix_spawn(3).
#include <spawn.h>

int cposix_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *path);
int cposix_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest);

// mallopt(3) of glibc. Both return 1 on success.

// At most this many heaps, however many threads there are.
int cposix_set_heaps_max(int count);
// Blocks of at least this many bytes get memory of their own, given back when freed.
int cposix_set_mapped_bytes_min(int bytes);

// A file without a name in the folder, open for reading and writing: it is gone when it is closed, whatever happens
// to the process. Returns its descriptor, or -1 and errno.
int cposix_open_nameless(const char *folder);
