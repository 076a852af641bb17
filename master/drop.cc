#include "master/drop.h"

#include "common/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

namespace tambo::master {

namespace {

// As sendmail(1) makes them: lower-case hexadecimal. Names come from local users.
bool is_plain_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 &&
           std::ranges::all_of(name, [](char c) { return is_alnum(c); });
}

UniqueFd open_message(int dir_fd, const std::string& name) {
    UniqueFd fd(::openat(dir_fd, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat st {};
    if (!fd.valid() || ::fstat(fd.get(), &st) != 0) return UniqueFd();
    // A second link would let somebody submit a file that is not theirs.
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) return UniqueFd();
    return fd;
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

} // namespace

std::optional<std::pair<std::string, UniqueFd>> Drop::next() {
    const int own = ::openat(dir_fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return std::nullopt;
    const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(own));
    if (!directory) {
        ::close(own);
        return std::nullopt;
    }
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string name = entry->d_name;
        if (!is_plain_name(name) || tried_.contains(name)) continue;
        UniqueFd fd = open_message(dir_fd_, name);
        if (!fd.valid()) continue;
        tried_.insert(name);
        in_hand_.insert(name);
        return std::pair(name, std::move(fd));
    }
    return std::nullopt;
}

void Drop::finish(const std::string& name, bool done) {
    if (in_hand_.erase(name) == 0) return; // not one that was given out
    if (done) ::unlinkat(dir_fd_, name.c_str(), 0);
}

void Drop::retry() {
    for (const auto& name : in_hand_)
        tried_.erase(name);
    in_hand_.clear();
}

} // namespace tambo::master
