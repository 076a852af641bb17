#include "smtpd/policy.h"

#include "common/base/text.h"
#include "common/ipc/messages/dnsd.h"
#include "common/smtp/domain.h"
#include "common/smtp/reply.h"

namespace tambo::smtpd {

namespace {

// RULES.md N3 allows 10; an honest host has one.
constexpr size_t kPtrMax = 3;

task<bool> name_has_address(Service& service, std::string name, std::string ip) {
    ipc::DnsLookup lookup;
    lookup.name = std::move(name);
    lookup.type = ip.find(':') == std::string::npos ? ipc::DnsType::a : ipc::DnsType::aaaa;
    auto answer = co_await service.dnsd->call(std::move(lookup), service.pace.name_lookup_ms);
    for (const auto& record : answer.records) {
        if (smtp::canonical_ip(record.text) == ip) co_return true;
    }
    co_return false;
}

} // namespace

void throw_refusal(const ipc::ReplyText& verdict) {
    if (verdict.code != 0) throw smtp::Reject(verdict.code, verdict.enhanced, verdict.text);
}

task<> require_own_address(Service& service, std::string token, std::string address) {
    ipc::CheckSender question;
    question.token = std::move(token);
    question.address = std::move(address);
    auto verdict = co_await service.authd.call(std::move(question));
    throw_refusal(verdict);
}

task<std::string> verified_client_name(Service& service, std::string ip) {
    if (service.dnsd == nullptr) co_return std::string();
    try {
        ipc::DnsLookup lookup;
        lookup.name = ip;
        lookup.type = ipc::DnsType::ptr;
        auto answer = co_await service.dnsd->call(std::move(lookup), service.pace.name_lookup_ms);
        if (answer.records.size() > kPtrMax) answer.records.resize(kPtrMax);
        for (const auto& record : answer.records) {
            if (!smtp::is_ldh_name(record.text)) continue; // RULES.md N5
            std::string name = record.text;
            std::string address = ip;
            auto verified = co_await name_has_address(service, std::move(name), std::move(address));
            if (verified) co_return record.text;
        }
    } catch (const ipc::PeerLost&) {
        co_return std::string();
    }
    co_return std::string();
}

} // namespace tambo::smtpd
