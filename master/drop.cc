#include "master/drop.h"

#include "common/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

namespace tambo::master {

namespace {

constexpr size_t kNamesAtOnce = 1000;

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

// Looks for some names at once: looking anew for each would cost a walk through all of them.
void Drop::look() {
    const int own = ::openat(dir_fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return;
    const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(own));
    if (!directory) {
        ::close(own);
        return;
    }
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string name = entry->d_name;
        if (!is_plain_name(name) || !tried_.insert(name).second) continue;
        found_.push_back(name);
        if (found_.size() == kNamesAtOnce) return;
    }
}

std::optional<std::pair<std::string, UniqueFd>> Drop::next() {
    for (;;) {
        if (found_.empty()) look();
        if (found_.empty()) return std::nullopt;
        const std::string name = std::move(found_.back());
        found_.pop_back();
        UniqueFd fd = open_message(dir_fd_, name);
        if (!fd.valid()) continue;
        in_hand_.insert(name);
        return std::pair(name, std::move(fd));
    }
}

void Drop::finish(const std::string& name, ipc::DropOutcome outcome) {
    if (in_hand_.erase(name) == 0) return; // not one that was given out
    switch (outcome) {
    case ipc::DropOutcome::taken:
        ::unlinkat(dir_fd_, name.c_str(), 0);
        break;
    case ipc::DropOutcome::refused:
        ::renameat(dir_fd_, name.c_str(), refused_fd_, name.c_str());
        break;
    case ipc::DropOutcome::not_now:
        stayed_.insert(name);
        break;
    }
}

void Drop::again() {
    for (const auto& name : stayed_)
        tried_.erase(name);
    stayed_.clear();
}

std::string_view text_of(ipc::DropOutcome outcome) {
    switch (outcome) {
    case ipc::DropOutcome::taken:
        return "taken";
    case ipc::DropOutcome::refused:
        return "refused";
    case ipc::DropOutcome::not_now:
        break;
    }
    return "not now";
}

void Drop::retry() {
    for (const auto& name : in_hand_)
        tried_.erase(name);
    in_hand_.clear();
}

} // namespace tambo::master
