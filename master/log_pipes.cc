#include "master/log_pipes.h"

#include "common/sys/fdpass.h"
#include "common/sys/file.h"

#include <sys/socket.h>

namespace tambo::master {

namespace {
constexpr const char* kChannel = "a log channel";
}

UniqueFd LogPipes::sender(const std::string& instance) {
    const auto known = pipes_.find(instance);
    if (known != pipes_.end()) return duplicate(known->second.sending.get(), kChannel);
    auto [sending, receiving] = socket_pair(SOCK_SEQPACKET);
    ::shutdown(sending.get(), SHUT_RD); // one way
    if (on_new) on_new(instance, duplicate(receiving.get(), kChannel));
    const auto made =
        pipes_.emplace(instance, Pipe{std::move(sending), std::move(receiving)}).first;
    return duplicate(made->second.sending.get(), kChannel);
}

void LogPipes::each_receiver(
    const std::function<void(const std::string& instance, UniqueFd)>& give) const {
    for (const auto& [instance, pipe] : pipes_)
        give(instance, duplicate(pipe.receiving.get(), kChannel));
}

void LogPipes::forget(const std::string& instance) {
    pipes_.erase(instance);
}

} // namespace tambo::master
