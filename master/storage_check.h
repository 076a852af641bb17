// Whether the disk can be trusted again after a failed fsync (RULES.md R2): a new file
// is written, synced, and read back past the page cache. Runs in a child process, because a sick
// disk blocks for minutes.
#pragma once

#include <sys/types.h>

namespace tambo::master {

// The test itself, in directory dir_fd. false also if the file cannot be made.
bool storage_is_sound(int dir_fd);

// Starts it in a child; the exit status is 0 if the storage is sound. -1 if no child can be made.
pid_t start_storage_check(int dir_fd);

} // namespace tambo::master
