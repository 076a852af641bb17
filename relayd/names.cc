// See names.h.
#include "relayd/names.h"

namespace tambo::relayd {

task<ipc::DnsAnswer> ChannelNames::lookup(std::string name, ipc::DnsType type, int64_t timeout_ms) {
    ipc::DnsLookup question;
    question.name = std::move(name);
    question.type = type;
    try {
        auto answer = co_await dnsd_.call(std::move(question), timeout_ms);
        co_return answer;
    } catch (const ipc::PeerLost&) {
    }
    co_return ipc::DnsAnswer(); // temporary
}

} // namespace tambo::relayd
