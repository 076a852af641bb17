#include "common/store/body.h"

#include "common/base/check.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <utility>

namespace tambo::store {

namespace {

constexpr long kXfsMagic = 0x58465342;

// Filesystems where the fsync of a new file also keeps its name (measured: RULES.md R4). On
// others the directory is synced too.
bool keeps_names(int fd) {
    struct statfs status {};
    if (::fstatfs(fd, &status) != 0) return false;
    return status.f_type == EXT4_SUPER_MAGIC || status.f_type == kXfsMagic;
}

Refusal refusal_of(int error) {
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? Refusal::disk_full
                                                                : Refusal::io_error;
}

} // namespace

BodyWriter::BodyWriter(int account_dir, const BodyName& name, UniqueFd fd)
    : dir_(account_dir), name_(name), fd_(std::move(fd)) {}

BodyWriter::~BodyWriter() {
    if (dir_ >= 0) ::unlinkat(dir_, name_.path().c_str(), 0);
}

BodyWriter::BodyWriter(BodyWriter&& other) noexcept
    : dir_(std::exchange(other.dir_, -1)), name_(other.name_), fd_(std::move(other.fd_)),
      bytes_(other.bytes_), failure_(other.failure_) {}

Outcome<Done> BodyWriter::write(std::string_view piece) {
    while (!piece.empty() && !failure_) {
        const ssize_t written = ::write(fd_.get(), piece.data(), piece.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            failure_ = refusal_of(errno);
            break;
        }
        bytes_ += static_cast<uint64_t>(written);
        piece.remove_prefix(static_cast<size_t>(written));
    }
    if (failure_) return Err{*failure_};
    return Done{};
}

Outcome<Done> BodyWriter::sync() {
    if (failure_) return Err{*failure_};
    int error = ::fsync(fd_.get()) == 0 ? 0 : errno;
    if (error == 0 && !keeps_names(fd_.get())) {
        const std::string bucket = "bodies/" + name_.bucket();
        const UniqueFd dir(::openat(dir_, bucket.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        error = dir && ::fsync(dir.get()) == 0 ? 0 : errno;
    }
    // A delayed allocation that found the disk full shows here; anything else is the disk itself.
    if (error != 0) failure_ = refusal_of(error);
    if (failure_) return Err{*failure_};
    return Done{};
}

} // namespace tambo::store
