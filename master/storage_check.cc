#include "master/storage_check.h"

#include "common/base/unique_fd.h"
#include "common/sys/clock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tambo::master {

namespace {

constexpr size_t kBlock = 4096; // also the alignment that O_DIRECT asks for
constexpr const char* kName = ".storage-check";

bool write_and_sync(int dir_fd, const std::string& content) {
    const UniqueFd fd(::openat(dir_fd, kName, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) return false;
    const ssize_t written = ::write(fd.get(), content.data(), content.size());
    return written == static_cast<ssize_t>(content.size()) && ::fsync(fd.get()) == 0;
}

bool reads_back(int dir_fd, const std::string& content) {
    // Filesystems without O_DIRECT (tmpfs in tests) are read as they are.
    UniqueFd fd(::openat(dir_fd, kName, O_RDONLY | O_CLOEXEC | O_DIRECT));
    if (!fd.valid() && errno == EINVAL) fd.reset(::openat(dir_fd, kName, O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return false;
    void* block = std::aligned_alloc(kBlock, kBlock);
    if (!block) return false;
    const bool same = ::read(fd.get(), block, kBlock) == static_cast<ssize_t>(kBlock) &&
                      std::memcmp(block, content.data(), kBlock) == 0;
    std::free(block);
    return same;
}

} // namespace

bool storage_is_sound(int dir_fd) {
    ::unlinkat(dir_fd, kName, 0);
    const std::string content = random_bytes(kBlock);
    const bool sound = write_and_sync(dir_fd, content) && reads_back(dir_fd, content);
    ::unlinkat(dir_fd, kName, 0);
    return sound;
}

pid_t start_storage_check(int dir_fd) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(storage_is_sound(dir_fd) ? 0 : 1);
    return child;
}

} // namespace tambo::master
