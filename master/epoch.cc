#include "master/epoch.h"

#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>

#include <cerrno>

namespace tambo::master {

namespace {
constexpr const char* kName = "epoch";
constexpr size_t kBytesMax = 64;
constexpr mode_t kMode = 0644;
} // namespace

Result<Epoch> Epoch::begin(int dir_fd) {
    const UniqueFd file(::openat(dir_fd, kName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.valid() && errno != ENOENT) throw_errno("open epoch");
    uint64_t number = 1;
    if (file.valid()) {
        const std::string content = read_whole(file.get(), kBytesMax, kName);
        const auto [digits, state] = split_once(std::string_view(content), ' ');
        const auto known = parse_uint(digits, UINT32_MAX - 1);
        const bool clean = state == "clean\n";
        if (!known || *known == 0 || (!clean && state != "running\n")) {
            return Err{cat("the file epoch is damaged (\"", escape(content),
                           "\"); write into it a number that was never used, such as a much larger "
                           "one, and the word running")};
        }
        number = clean ? *known : *known + 1;
    }
    Epoch epoch(dir_fd, static_cast<uint32_t>(number));
    epoch.write("running");
    return epoch;
}

void Epoch::raise() {
    ++number_;
    write("running");
}

void Epoch::mark_clean() {
    write("clean");
}

void Epoch::write(const char* state) const {
    write_file_atomically(dir_fd_, kName, cat(number_, ' ', state, '\n'), kMode);
}

} // namespace tambo::master
