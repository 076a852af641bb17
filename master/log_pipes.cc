#include "master/log_pipes.h"

#include "common/sys/error.h"
#include "common/sys/fdpass.h"

#include <fcntl.h>
#include <sys/socket.h>

namespace tambo::master {

namespace {

UniqueFd copy_of(const UniqueFd& fd) {
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) throw_errno("dup of a log channel");
    return copy;
}

} // namespace

UniqueFd LogPipes::sender(const std::string& instance) {
    const auto known = pipes_.find(instance);
    if (known != pipes_.end()) return copy_of(known->second.sending);
    auto [sending, receiving] = socket_pair(SOCK_SEQPACKET);
    ::shutdown(sending.get(), SHUT_RD); // one way
    if (on_new) on_new(instance, copy_of(receiving));
    const auto made =
        pipes_.emplace(instance, Pipe{std::move(sending), std::move(receiving)}).first;
    return copy_of(made->second.sending);
}

void LogPipes::each_receiver(
    const std::function<void(const std::string& instance, UniqueFd)>& give) const {
    for (const auto& [instance, pipe] : pipes_)
        give(instance, copy_of(pipe.receiving));
}

void LogPipes::forget(const std::string& instance) {
    pipes_.erase(instance);
}

} // namespace tambo::master
