#include "mailboxd/erase.h"

#include "common/base/text.h"
#include "common/base/unique_fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mailboxd {

namespace {

constexpr int kDepthMax = 8; // an account's tree has two levels

struct Names {
    std::vector<std::string> files, directories;
};

// The directory stays open as fd.
bool list(int fd, Names& out) {
    DIR* dir = ::fdopendir(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!dir) return false;
    while (const dirent* entry = ::readdir(dir)) {
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        (entry->d_type == DT_DIR ? out.directories : out.files).emplace_back(name);
    }
    ::closedir(dir);
    return true;
}

bool erase_below(int fd, int depth) {
    Names names;
    if (depth == 0 || !list(fd, names)) return false;
    bool all = true;
    for (const std::string& name : names.files) {
        all &= ::unlinkat(fd, name.c_str(), 0) == 0;
    }
    for (const std::string& name : names.directories) {
        const UniqueFd inner(
            ::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        all &= inner && erase_below(inner.get(), depth - 1);
        all &= ::unlinkat(fd, name.c_str(), AT_REMOVEDIR) == 0;
    }
    return all;
}

} // namespace

int erase_current_directory() {
    const UniqueFd here(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return here && erase_below(here.get(), kDepthMax) ? 0 : 1;
}

} // namespace tambo::mailboxd
