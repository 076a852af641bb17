#include "deliverd/linker.h"

#include "common/base/bytes.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/store/body_name.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace tambo::deliverd {

namespace {

constexpr size_t kChunkBytes = 256 * 1024;

LinkResult result_of(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return {LinkOutcome::no_space, error, false};
    default:
        return {LinkOutcome::failed, error, false};
    }
}

// Copies all of from to to; the checksum of what was copied, or an error number.
int copy_bytes(int from, int to, uint64_t& length, uint32_t& crc) {
    std::string buffer(kChunkBytes, '\0');
    for (;;) {
        const ssize_t n = ::read(from, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return 0;
        std::string_view rest(buffer.data(), static_cast<size_t>(n));
        crc = crc32c(crc, rest);
        length += rest.size();
        while (!rest.empty()) {
            const ssize_t written = ::write(to, rest.data(), rest.size());
            if (written < 0 && errno != EINTR) return errno;
            if (written > 0) rest.remove_prefix(static_cast<size_t>(written));
        }
    }
}

} // namespace

std::string Linker::target_path(const ipc::DeliveryFacts& facts) {
    const store::DeliveryKey key{facts.qid, facts.rcpt_no, facts.action_no};
    return cat(facts.account.text(), '/', store::BodyName::of(key).path());
}

LinkResult Linker::link(const ipc::Deliver& job) const {
    const std::string target = target_path(job.facts);
    if (::linkat(spool_fd_, job.spool_name.c_str(), mail_fd_, target.c_str(), 0) == 0) {
        return {LinkOutcome::linked, 0, false};
    }
    const int error = errno;
    struct stat source {};
    switch (error) {
    case EEXIST:
        return judge_existing(job, target);
    case ENOENT:
        if (::fstatat(spool_fd_, job.spool_name.c_str(), &source, AT_SYMLINK_NOFOLLOW) != 0) {
            // Delivered before, and queued has let go of the spool's name since.
            struct stat there {};
            if (::fstatat(mail_fd_, target.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
                return {LinkOutcome::linked, 0, false};
            }
            return {LinkOutcome::no_body, error, false};
        }
        return {LinkOutcome::no_account, error, false};
    case EXDEV:
    case EMLINK:
    case EPERM:
        return copy(job, target);
    default:
        return result_of(error);
    }
}

LinkResult Linker::judge_existing(const ipc::Deliver& job, const std::string& target) const {
    struct stat source {
    }, there{};
    if (::fstatat(mail_fd_, target.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
        return result_of(errno);
    }
    if (::fstatat(spool_fd_, job.spool_name.c_str(), &source, AT_SYMLINK_NOFOLLOW) != 0) {
        return {LinkOutcome::linked, 0, false};
    }
    if (source.st_ino == there.st_ino && source.st_dev == there.st_dev) {
        return {LinkOutcome::linked, 0, false};
    }
    // An earlier attempt may have copied: copies get their name only when they are complete.
    const bool is_copy = static_cast<uint64_t>(there.st_size) == job.facts.body_bytes;
    if (is_copy && (source.st_dev != there.st_dev || there.st_nlink == 1)) {
        return {LinkOutcome::linked, 0, true};
    }
    return {LinkOutcome::foreign, EEXIST, false};
}

LinkResult Linker::copy(const ipc::Deliver& job, const std::string& target) const {
    const UniqueFd from(
        ::openat(spool_fd_, job.spool_name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!from.valid()) return {LinkOutcome::no_body, errno, false};
    const std::string partial = target + ".part";
    ::unlinkat(mail_fd_, partial.c_str(), 0); // of an attempt that died
    const UniqueFd to(::openat(mail_fd_, partial.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
    if (!to.valid()) {
        return errno == ENOENT ? LinkResult{LinkOutcome::no_account, ENOENT, false}
                               : result_of(errno);
    }
    uint64_t length = 0;
    uint32_t crc = 0;
    int error = copy_bytes(from.get(), to.get(), length, crc);
    const bool right = length == job.facts.body_bytes && crc == job.facts.body_crc32c;
    if (error == 0 && !right) error = EIO;
    if (error == 0 && ::fsync(to.get()) != 0) error = errno;
    if (error == 0 && ::renameat(mail_fd_, partial.c_str(), mail_fd_, target.c_str()) != 0) {
        error = errno;
    }
    if (error != 0) {
        ::unlinkat(mail_fd_, partial.c_str(), 0);
        return result_of(error);
    }
    const std::string bucket = target.substr(0, target.rfind('/'));
    const UniqueFd directory(
        ::openat(mail_fd_, bucket.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid() || ::fsync(directory.get()) != 0) return result_of(errno);
    return {LinkOutcome::linked, 0, true};
}

} // namespace tambo::deliverd
