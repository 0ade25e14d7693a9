#pragma once
// The GNU extensions of posix_spawn(3), which Swift's Glibc module does not show.
#include <spawn.h>

int cposix_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *path);
int cposix_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest);
