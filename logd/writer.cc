#include "logd/writer.h"

#include "common/base/text.h"
#include "logd/journal.h"
#include "logd/line.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tambo::logd {

namespace {
constexpr size_t kPendingMax = 256 * 1024;
constexpr const char* kJournal = "/run/systemd/journal/socket";
} // namespace

UniqueFd connect_journal() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, kJournal, sizeof address.sun_path - 1);
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    if (!socket.valid() || ::connect(socket.get(), raw, sizeof address) != 0) return UniqueFd();
    return socket;
}

Writer::Writer(const conf::LogdConfig& config, int directory, UniqueFd journal)
    : config_(config), directory_(directory), journal_(std::move(journal)) {
    if (!journal_.valid()) open();
}

void Writer::open() {
    file_.reset(::openat(directory_, config_.file.c_str(),
                         O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640));
    struct stat st {};
    size_ = file_.valid() && ::fstat(file_.get(), &st) == 0 ? st.st_size : 0;
    char last = '\n';
    is_torn_ = size_ > 0 && ::pread(file_.get(), &last, 1, size_ - 1) == 1 && last != '\n';
}

void Writer::write(const log::Record& record) {
    const std::string line = format_line(record);
    if (journal_.valid()) {
        const std::string datagram = journal_datagram(record, line);
        if (::send(journal_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0) ++lost_;
        return;
    }
    pending_ += line;
    pending_.push_back('\n');
    if (pending_.size() > kPendingMax) flush();
}

void Writer::flush() {
    if (pending_.empty()) return;
    if (!file_.valid()) open();
    if (is_torn_) pending_.insert(0, 1, '\n');
    const ssize_t n = ::write(file_.get(), pending_.data(), pending_.size());
    if (n < static_cast<ssize_t>(pending_.size())) ++lost_;
    if (n > 0) {
        size_ += n;
        is_torn_ = pending_[static_cast<size_t>(n) - 1] != '\n';
    }
    pending_.clear();
    if (size_ > config_.file_size_max) rotate();
}

void Writer::rotate() {
    for (int64_t i = config_.files_kept - 1; i > 0; --i) {
        const std::string from = i == 1 ? config_.file : cat(config_.file, '.', i - 1);
        const std::string to = cat(config_.file, '.', i);
        ::renameat(directory_, from.c_str(), directory_, to.c_str());
    }
    if (config_.files_kept <= 1) ::unlinkat(directory_, config_.file.c_str(), 0);
    open();
}

void Writer::read_back(size_t bytes_max,
                       const std::function<void(std::string_view line)>& use) const {
    const UniqueFd in(
        ::openat(directory_, config_.file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (!in.valid() || ::fstat(in.get(), &st) != 0) return;
    const auto from = std::max<off_t>(0, st.st_size - static_cast<off_t>(bytes_max));
    std::string text(static_cast<size_t>(st.st_size - from), '\0');
    const ssize_t n = ::pread(in.get(), text.data(), text.size(), from);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    for (const auto line : split(text, '\n')) {
        if (!line.empty()) use(line);
    }
}

} // namespace tambo::logd
