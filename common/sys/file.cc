#include "common/sys/file.h"

#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/error.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace tambo {

namespace {
constexpr size_t kStep = 16384;
} // namespace

std::string read_whole(int fd, size_t max_bytes, const std::string& name) {
    std::string content;
    content.reserve(2 * kStep); // a key is not left behind in memory that was too small
    for (;;) {
        const size_t old_size = content.size();
        content.resize(old_size + kStep);
        const ssize_t n = ::pread(fd, content.data() + old_size, kStep,
                                  static_cast<off_t>(old_size));
        if (n < 0 && errno == EINTR) {
            content.resize(old_size);
            continue;
        }
        if (n < 0) throw_errno("read " + name);
        content.resize(old_size + static_cast<size_t>(n));
        if (content.size() > max_bytes) throw_error(EFBIG, "read " + name);
        if (n == 0) return content;
    }
}

std::string read_file(const std::string& path, size_t max_bytes) {
    const UniqueFd fd = open_or_throw(path, O_RDONLY);
    return read_whole(fd.get(), max_bytes, path);
}

void write_all(int fd, std::string_view data, const std::string& name) {
    while (!data.empty()) {
        const ssize_t n = ::write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("write " + name);
        data.remove_prefix(static_cast<size_t>(n));
    }
}

void write_file_atomically(int dir_fd, const std::string& name, std::string_view content,
                           mode_t mode) {
    const std::string temporary = cat('.', name, '.', to_hex(random_bytes(6)));
    UniqueFd fd = openat_or_throw(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    try {
        if (::fchmod(fd.get(), mode) != 0) throw_errno("chmod " + temporary);
        write_all(fd.get(), content, temporary);
        if (::fsync(fd.get()) != 0) throw_errno("fsync " + temporary);
        if (::renameat(dir_fd, temporary.c_str(), dir_fd, name.c_str()) != 0) {
            throw_errno("rename " + name);
        }
    } catch (const std::exception&) {
        ::unlinkat(dir_fd, temporary.c_str(), 0);
        throw;
    }
    if (::fsync(dir_fd) != 0) throw_errno("fsync directory of " + name);
}

UniqueFd open_or_throw(const std::string& path, int flags, mode_t mode) {
    return openat_or_throw(AT_FDCWD, path, flags, mode);
}

UniqueFd openat_or_throw(int dir_fd, const std::string& path, int flags, mode_t mode) {
    UniqueFd fd(::openat(dir_fd, path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd.valid()) throw_errno("open " + path);
    return fd;
}

UniqueFd duplicate(int fd, const std::string& name) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) throw_errno("duplicate " + name);
    return copy;
}

void sync_directory(const std::string& path) {
    const UniqueFd fd = open_or_throw(path, O_RDONLY | O_DIRECTORY);
    if (::fsync(fd.get()) != 0) throw_errno("sync " + path);
}

void set_nonblocking(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) throw_errno("fcntl");
}

} // namespace tambo
