#include "common/spool/directory.h"

#include "common/base/bytes.h"
#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

namespace tambo::spool {

namespace {

constexpr mode_t kBucketMode = 0700; // the setgid bit is inherited
constexpr mode_t kBodyMode = 0440;   // RULES.md R12
constexpr size_t kReadBytes = 64 * 1024;

std::string bucket_name(unsigned bucket) {
    const char byte = static_cast<char>(bucket);
    return to_hex(std::string_view(&byte, 1));
}

void make_directory(int parent, const std::string& name) {
    if (::mkdirat(parent, name.c_str(), kBucketMode) != 0 && errno != EEXIST) {
        throw_errno("make spool/" + name);
    }
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

} // namespace

std::string body_path(const Id& qid) {
    return cat(bucket_name(static_cast<unsigned>(qid.low % kBuckets)), '/', qid.text());
}

Directory::Directory(UniqueFd fd) : fd_(std::move(fd)) {
    for (const auto* name : {"bodies", "lost"})
        make_directory(fd_.get(), name);
    bodies_ = openat_or_throw(fd_.get(), "bodies", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    lost_ = openat_or_throw(fd_.get(), "lost", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    for (unsigned bucket = 0; bucket < kBuckets; ++bucket) {
        make_directory(bodies_.get(), bucket_name(bucket));
    }
}

NewBody Directory::create(const Id& qid) {
    const std::string path = body_path(qid);
    NewBody body;
    body.writer =
        openat_or_throw(bodies_.get(), path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kBodyMode);
    body.reader = openat_or_throw(bodies_.get(), path, O_RDONLY | O_NOFOLLOW);
    return body;
}

std::optional<UniqueFd> Directory::open_body(const Id& qid) const {
    const std::string path = body_path(qid);
    UniqueFd fd(::openat(bodies_.get(), path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (fd) return fd;
    if (errno != ENOENT) throw_errno("open spool/bodies/" + path);
    return std::nullopt;
}

bool Directory::remove(const Id& qid) {
    const std::string path = body_path(qid);
    if (::unlinkat(bodies_.get(), path.c_str(), 0) == 0) return true;
    if (errno != ENOENT) throw_errno("remove spool/bodies/" + path);
    return false;
}

bool Directory::set_aside(const Id& qid) {
    const std::string path = body_path(qid);
    if (::renameat(bodies_.get(), path.c_str(), lost_.get(), qid.text().c_str()) == 0) return true;
    if (errno != ENOENT) throw_errno("set aside spool/bodies/" + path);
    return false;
}

Space Directory::space() const {
    struct statvfs facts {};
    if (::fstatvfs(fd_.get(), &facts) != 0) throw_errno("statvfs spool");
    Space space;
    space.bytes = static_cast<uint64_t>(facts.f_bavail) * facts.f_frsize;
    // btrfs counts no inodes.
    space.inodes = facts.f_files == 0 ? UINT64_MAX : static_cast<uint64_t>(facts.f_favail);
    return space;
}

std::vector<Id> Directory::bodies(unsigned bucket) const {
    const std::string name = bucket_name(bucket);
    UniqueFd fd = openat_or_throw(bodies_.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
    if (!directory) throw_errno("read spool/bodies/" + name);
    static_cast<void>(fd.release()); // closed with the stream
    std::vector<Id> ids;
    errno = 0;
    while (const dirent* item = ::readdir(directory.get())) {
        if (const auto id = Id::parse(item->d_name)) ids.push_back(*id);
    }
    if (errno != 0) throw_errno("read spool/bodies/" + name);
    return ids;
}

bool has_writer(int reader) {
    if (::fcntl(reader, F_SETLEASE, F_RDLCK) != 0) {
        if (errno == EAGAIN) return true;
        throw_errno("read lease on a spool file");
    }
    // Nobody can become a writer from here on: the mode is 0440 and only we know the path.
    if (::fcntl(reader, F_SETLEASE, F_UNLCK) != 0) throw_errno("end of a read lease");
    return false;
}

Digest digest_of(int reader) {
    Digest digest;
    const auto buffer = std::make_unique_for_overwrite<char[]>(kReadBytes);
    for (;;) {
        const ssize_t got =
            ::pread(reader, buffer.get(), kReadBytes, static_cast<off_t>(digest.length));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw_errno("read a spool file");
        if (got == 0) return digest;
        const std::string_view piece(buffer.get(), static_cast<size_t>(got));
        digest.crc32c = crc32c(digest.crc32c, piece);
        digest.length += piece.size();
    }
}

} // namespace tambo::spool
