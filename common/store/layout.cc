#include "common/store/layout.h"

#include "common/base/text.h"
#include "common/store/body_name.h"
#include "common/sys/file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace tambo::store {

namespace {

[[noreturn]] void fail(const std::string& path) {
    throw std::system_error(errno, std::generic_category(), path);
}

void make_dir(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) fail(path);
}

// Without the mask the modes come out exact. chmod would not do: it takes the inherited setgid bit
// away from a caller that is not in the group.
class NoUmask {
  public:
    NoUmask() : before_(::umask(0)) {}
    ~NoUmask() { ::umask(before_); }
    NoUmask(const NoUmask&) = delete;
    NoUmask& operator=(const NoUmask&) = delete;

  private:
    mode_t before_;
};

std::string parent_of(const std::string& dir) {
    const auto slash = dir.find_last_of('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : dir.substr(0, slash);
}

} // namespace

void make_account_dir(const std::string& dir) {
    const NoUmask exact;
    make_dir(dir, 0710);
    const std::string bodies = cat(dir, '/', kBodiesDir);
    make_dir(bodies, 0770);
    for (uint32_t bucket = 0; bucket < kBodyBuckets; ++bucket) {
        make_dir(cat(bodies, '/', BodyName{Id{0, bucket}}.bucket()), 0770);
    }
    sync_directory(bodies);
    sync_directory(dir);
    sync_directory(parent_of(dir));
}

bool rename_account_dir(const std::string& dir, const std::string& to) {
    const bool is_there = ::rename(dir.c_str(), to.c_str()) == 0;
    if (!is_there && errno != ENOENT) fail(dir);
    sync_directory(parent_of(dir));
    return is_there;
}

} // namespace tambo::store
