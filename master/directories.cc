// Modes and owners: ARCHITECTURE.md, "On the disk". setgid on spool and mail makes what is created
// below inherit the group, so that the account processes can read bodies that queued wrote.
#include "master/directories.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>

namespace tambo::master {

namespace {

struct Row {
    std::string_view name;
    mode_t mode;
    std::string_view user, group;
};

constexpr std::array kRows{
    Row{"spool", 02700, "_tambo-store", "_tambo-mail"},
    Row{"spool/bodies", 02700, "_tambo-store", "_tambo-mail"},
    Row{"mail", 02711, "_tambo-mail", "_tambo-store"},
    Row{"accounts", 0700, "_tambo-auth", "_tambo-auth"},
    Row{"keys", 0700, "_tambo-key", "_tambo-key"},
    Row{"log", 0700, "_tambo-log", "_tambo-log"},
    Row{"drop", 03733, "root", "_tambo-submit"},
    Row{"drop-refused", 0700, "root", "root"},
    Row{"control", 0755, "root", "root"},
    Row{"root", 0555, "root", "root"},
};

constexpr mode_t kAllBits = 07777;

mode_t mode_of(int fd, const std::string& path) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) throw_errno("stat " + path);
    return st.st_mode & kAllBits;
}

// Without CAP_FSETID, as under systemd, the kernel silently takes the setgid bit from a mode that
// somebody sets who is not in the group; without that bit no mail is delivered.
void set_mode(int fd, mode_t mode, std::optional<gid_t> group, const std::string& path) {
    const auto before = static_cast<gid_t>(group ? ::setfsgid(*group) : 0);
    const int result = ::fchmod(fd, mode);
    const int error = errno;
    if (group) ::setfsgid(before);
    if (result != 0) throw_error(error, "chmod " + path);
    if (mode_of(fd, path) != mode)
        throw_error(EPERM, cat("chmod ", path, ": the kernel made less"));
}

UniqueFd make_one(int top, const Row& row, const std::string& path, const Users& users) {
    const std::string name(row.name);
    const std::string full = path + "/" + name;
    if (::mkdirat(top, name.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("mkdir " + full);
    UniqueFd fd(::openat(top, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) throw_errno("open " + full);
    const uid_t uid = users.uid(row.user);
    const gid_t gid = users.gid(row.group);
    if (users.privileged() && ::fchown(fd.get(), uid, gid) != 0) throw_errno("chown " + full);
    if (mode_of(fd.get(), full) != row.mode) {
        set_mode(fd.get(), row.mode, users.privileged() ? std::optional(gid) : std::nullopt, full);
    }
    return fd;
}

bool same_file(int a, int b) {
    struct stat one {};
    struct stat other {};
    return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

} // namespace

Directories::Directories(const std::string& path) : path_(path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) throw_error(error.value(), "mkdir " + path);
    top_ = open_or_throw(path, O_RDONLY | O_DIRECTORY);
}

void Directories::make(const Users& users) {
    if (users.privileged()) {
        if (::fchown(top_.get(), 0, 0) != 0) throw_errno("chown " + path_);
        if (::fchmod(top_.get(), 0755) != 0) throw_errno("chmod " + path_);
    }
    for (const Row& row : kRows) {
        made_.insert_or_assign(std::string(row.name), make_one(top_.get(), row, path_, users));
    }
    if (::fsync(top_.get()) != 0) throw_errno("fsync " + path_);
}

int Directories::get(std::string_view name) const {
    const auto found = made_.find(name);
    check(found != made_.end(), "no such directory in the table");
    return found->second.get();
}

std::optional<std::string> Directories::lock(UniqueFd inherited) {
    lock_ = openat_or_throw(top_.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
    is_successor_ = same_file(inherited.get(), lock_.get());
    if (is_successor_) lock_ = std::move(inherited);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) throw_errno("flock " + path_ + "/lock");
        const std::string holder = read_whole(lock_.get(), 64, "lock");
        return std::string(trim(holder));
    }
    if (::ftruncate(lock_.get(), 0) != 0) throw_errno("truncate " + path_ + "/lock");
    if (::lseek(lock_.get(), 0, SEEK_SET) != 0) throw_errno("seek " + path_ + "/lock");
    write_all(lock_.get(), cat(::getpid(), '\n'), path_ + "/lock");
    return std::nullopt;
}

} // namespace tambo::master
