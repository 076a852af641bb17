#include "keyd/server.h"

#include "common/base/text.h"
#include "common/sys/log.h"

#include <algorithm>

namespace tambo::keyd {

namespace {

constexpr std::string_view kPrefix = "key:";
// Longer than any handshake, and than master takes to bring the new certificate to everybody.
constexpr int64_t kRetiredKey_ms = 600'000;
// A hijacked daemon shall not fill the log.
constexpr int64_t kReportEvery_ms = 1000;

} // namespace

void Server::take_file(std::string_view name, const UniqueFd& file) {
    if (!name.starts_with(kPrefix)) return;
    const auto slot = parse_uint(name.substr(kPrefix.size()), UINT32_MAX);
    if (!slot || *slot == 0) return;
    auto key = PrivateKey::read_pem(file.get());
    if (!key) {
        log::Event("keyd.key_refused", log::Level::error)
            .with("file", name)
            .with("why", key.error());
        return;
    }
    const uint32_t id = key_id(key->public_key());
    log::Event("keyd.key").with("file", name).with("type", key->description()).with("key", id);
    ring_.add(id, std::move(*key));
    auto& current = slots_[static_cast<uint32_t>(*slot)];
    const uint32_t before = std::exchange(current, id);
    if (before != id) retire(before);
}

void Server::set_count(uint32_t count) {
    while (!slots_.empty() && slots_.rbegin()->first > count) {
        const uint32_t id = slots_.rbegin()->second;
        slots_.erase(std::prev(slots_.end()));
        retire(id);
    }
}

void Server::retire(uint32_t id) {
    if (ring_.find(id) == nullptr || in_use(id)) return;
    retired_.push_back({id, clock_.monotonic_ms() + kRetiredKey_ms});
}

bool Server::in_use(uint32_t id) const {
    return std::any_of(slots_.begin(), slots_.end(),
                       [id](const auto& slot) { return slot.second == id; });
}

void Server::tidy() {
    const int64_t now = clock_.monotonic_ms();
    const auto over = std::stable_partition(retired_.begin(), retired_.end(),
                                            [now](const Retired& r) { return r.until_ms > now; });
    for (auto at = over; at != retired_.end(); ++at) {
        if (!in_use(at->id)) ring_.remove(at->id);
    }
    retired_.erase(over, retired_.end());
}

ipc::Signature Server::sign(const ipc::Sign& request) {
    // Numbers that are no value of these types are refused by the policy.
    auto signature = ring_.sign({request.key_id, static_cast<SignKind>(request.kind),
                                 static_cast<SignScheme>(request.scheme), request.to_be_signed});
    ipc::Signature reply;
    reply.ok = signature.ok();
    if (signature) {
        reply.bytes = std::move(*signature);
    } else {
        reply.error = signature.error();
    }
    return reply;
}

Peer::Peer(Server& server, ipc::Channel& channel, Clock& clock)
    : server_(server), channel_(channel), clock_(clock) {
    channel.on<ipc::Sign>(*this, &Peer::sign);
}

task<ipc::Signature> Peer::sign(ipc::Sign request) {
    auto reply = server_.sign(request);
    if (!reply.ok) report(request, reply.error);
    co_return reply;
}

void Peer::report(const ipc::Sign& request, const std::string& why) {
    ++refused_;
    const int64_t now = clock_.monotonic_ms();
    if (now < next_report_ms_) return;
    next_report_ms_ = now + kReportEvery_ms;
    log::Event("keyd.refused", log::Level::warning)
        .with("peer", channel_.peer())
        .with("key", request.key_id)
        .with("kind", request.kind)
        .with("scheme", request.scheme)
        .with("bytes", static_cast<int64_t>(request.to_be_signed.size()))
        .with("count", std::exchange(refused_, 0))
        .with("why", why);
}

} // namespace tambo::keyd
