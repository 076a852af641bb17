#include "deliverd/linker.h"

#include "common/base/text.h"
#include "common/spool/directory.h"
#include "common/sys/error.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace tambo::deliverd {

namespace {

constexpr int kWalk = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// A copy is ours, not the account's, and so is its group: the directory alone keeps others out.
constexpr mode_t kCopyMode = 0444;
constexpr size_t kCopyBytes = 128 * 1024;

bool is_full(int error) {
    return error == ENOSPC || error == EDQUOT;
}

// Where a hard link cannot be made for good: another filesystem or bind mount, too many links, the
// kernel's or Landlock's rules.
bool wants_copy(int error) {
    return error == EXDEV || error == EMLINK || error == EPERM || error == EOPNOTSUPP;
}

LinkResult failure(int error, std::string_view doing) {
    LinkResult result;
    result.what = is_full(error) ? Linked::full : Linked::failed;
    result.why = cat(doing, ": ", error_text(error));
    return result;
}

LinkResult result_of(Linked what) {
    LinkResult result;
    result.what = what;
    return result;
}

} // namespace

Linker::Linker(UniqueFd spool, UniqueFd mail, uint64_t disk_reserve)
    : spool_(std::move(spool)), mail_(std::move(mail)), disk_reserve_(disk_reserve) {}

UniqueFd Linker::open_bucket(const ipc::DeliveryFacts& facts, const store::BodyName& name) const {
    UniqueFd at(::openat(mail_.get(), facts.account.text().c_str(), kWalk));
    for (const std::string& step : {std::string("bodies"), name.bucket()}) {
        if (!at) return at;
        const int next = ::openat(at.get(), step.c_str(), kWalk);
        const int error = errno;
        at.reset(next);
        errno = error;
    }
    return at;
}

LinkResult Linker::link(const ipc::DeliveryFacts& facts, const store::BodyName& name) {
    const UniqueFd bucket = open_bucket(facts, name);
    if (!bucket) {
        if (errno == ENOENT) return result_of(Linked::no_account);
        return failure(errno, "open the account's bodies");
    }
    const std::string from = spool::body_path(facts.qid);
    if (::linkat(spool_.get(), from.c_str(), bucket.get(), name.text().c_str(), 0) == 0) {
        return result_of(Linked::made);
    }
    const int error = errno;
    if (error == EEXIST) return compare(bucket.get(), facts, name);
    if (wants_copy(error)) return copy(bucket.get(), facts, name);
    if (error == ENOENT) return result_of(Linked::no_body);
    return failure(error, "link a body");
}

// A file of that name is there: the link of an earlier attempt, a copy of one, or something that
// must not be.
LinkResult
Linker::compare(int bucket, const ipc::DeliveryFacts& facts, const store::BodyName& name) {
    struct stat ours {
    }, theirs{};
    const std::string from = spool::body_path(facts.qid), to = name.text();
    if (::fstatat(bucket, to.c_str(), &theirs, AT_SYMLINK_NOFOLLOW) != 0) {
        return failure(errno, "stat a body");
    }
    if (::fstatat(spool_.get(), from.c_str(), &ours, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return result_of(Linked::no_body);
        return failure(errno, "stat a spool file");
    }
    if (ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev) {
        return result_of(Linked::present);
    }
    if (static_cast<uint64_t>(theirs.st_size) < facts.body_bytes && S_ISREG(theirs.st_mode)) {
        // A copy that was cut short; no row refers to it, for that is written afterwards.
        log::Event("delivery.partial_copy", log::Level::warning).qid(facts.qid);
        if (::unlinkat(bucket, to.c_str(), 0) != 0) return failure(errno, "remove a partial copy");
        return link(facts, name);
    }
    const UniqueFd copy(::openat(bucket, to.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!copy) return failure(errno, "open a copied body");
    const spool::Digest expected{facts.body_bytes, facts.body_crc32c};
    if (spool::digest_of(copy.get()) == expected) return result_of(Linked::present);
    return result_of(Linked::collision);
}

LinkResult Linker::copy(int bucket, const ipc::DeliveryFacts& facts, const store::BodyName& name) {
    const std::string from = spool::body_path(facts.qid), to = name.text();
    const UniqueFd source(::openat(spool_.get(), from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!source) {
        if (errno == ENOENT) return result_of(Linked::no_body);
        return failure(errno, "open a spool file");
    }
    const UniqueFd target(::openat(
        bucket, to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kCopyMode));
    if (!target) {
        if (errno == EEXIST) return compare(bucket, facts, name);
        return failure(errno, "make a copy");
    }
    LinkResult result = copy_to(target.get(), source.get(), facts);
    if (result.what != Linked::made) ::unlinkat(bucket, to.c_str(), 0);
    return result;
}

LinkResult Linker::copy_to(int target, int source, const ipc::DeliveryFacts& facts) {
    struct statvfs space {};
    if (::fstatvfs(target, &space) != 0) return failure(errno, "statvfs");
    if (uint64_t{space.f_bavail} * space.f_frsize < facts.body_bytes + disk_reserve_) {
        return failure(ENOSPC, "copy a body");
    }
    std::array<char, kCopyBytes> buffer;
    for (;;) {
        const ssize_t got = ::read(source, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failure(errno, "read a spool file");
        if (got == 0) break;
        try {
            tambo::write_all(target, std::string_view(buffer.data(), static_cast<size_t>(got)),
                             "copy of a body");
        } catch (const std::system_error& error) {
            return failure(error.code().value(), "write a copy");
        }
    }
    if (::fsync(target) != 0) { // never tried again (R2)
        LinkResult result = failure(errno, "fsync of a copy");
        result.sync_failed = true;
        return result;
    }
    LinkResult result = result_of(Linked::made);
    result.copied = true;
    return result;
}

void Linker::unlink(const ipc::DeliveryFacts& facts, const store::BodyName& name) {
    const UniqueFd bucket = open_bucket(facts, name);
    if (bucket) ::unlinkat(bucket.get(), name.text().c_str(), 0); // what stays is found by fsck
}

} // namespace tambo::deliverd
