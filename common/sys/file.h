// The one helper for whole small files: reading with a bound, and writing atomically and durably.
#pragma once

#include "common/base/unique_fd.h"

#include <sys/types.h>

#include <string>
#include <string_view>

namespace tambo {

// The whole file from its start, at most max_bytes; throws std::system_error (EFBIG when larger).
// fd: read with pread, so the descriptor's offset stays (works on shared descriptors).
std::string read_whole(int fd, size_t max_bytes, const std::string& name_for_errors);
std::string read_file(const std::string& path, size_t max_bytes);

// Replaces name in the directory dir_fd: new file, write, fsync, rename, fsync of the directory
// (RULES.md R4). After return the new content survives a power cut; before, the old one
// does. Throws std::system_error and leaves the old content.
void write_file_atomically(int dir_fd, const std::string& name, std::string_view content,
                           mode_t mode);

// Writes all of data at the descriptor's offset (short writes continued). Throws on error.
void write_all(int fd, std::string_view data, const std::string& name_for_errors);

// open(2)/openat(2) with O_CLOEXEC; throws std::system_error naming the path.
UniqueFd open_or_throw(const std::string& path, int flags, mode_t mode = 0);
UniqueFd openat_or_throw(int dir_fd, const std::string& path, int flags, mode_t mode = 0);

// Another descriptor of the same open file, with O_CLOEXEC; throws std::system_error.
UniqueFd duplicate(int fd, const std::string& name_for_errors);

// Makes durable which names the directory has: what was made, renamed or removed in it. Throws
// std::system_error.
void sync_directory(const std::string& path);

// O_NONBLOCK on; throws on error.
void set_nonblocking(int fd);

} // namespace tambo
