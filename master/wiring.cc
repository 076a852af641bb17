// The tables. The rule behind them: a daemon knows only its own neighbours, and authority never
// comes from a network process (ARCHITECTURE.md, "Decisions").
#include "master/wiring.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/conf/parts.h"
#include "common/ipc/codec.h"

#include <algorithm>
#include <array>

namespace tambo::master {

namespace {

using Processes = conf::Config::Processes;

std::string smtpd_part(const PartSource& s) {
    return ipc::encode(conf::make_smtpd_config(s.config));
}

const std::array kServices{
    Service{"logd", "logd", "_tambo-log", Count::one, nullptr, Stage::log, "control", "directory",
            false,
            [](const PartSource& s) {
                return ipc::encode(conf::make_logd_config(s.config, s.journal));
            },
            "events"},
    Service{"keyd", "keyd", "_tambo-key", Count::one, nullptr, Stage::service, "", "key:* root",
            false,
            [](const PartSource& s) { return ipc::encode(conf::make_keyd_config(s.config)); },
            "private keys"},
    Service{"dnsd", "dnsd", "_tambo-dns", Count::one, nullptr, Stage::service, "",
            "resolv.conf root", false,
            [](const PartSource& s) { return ipc::encode(conf::make_dnsd_config(s.config)); },
            "DNS"},
    Service{"authd", "authd", "_tambo-auth", Count::one, nullptr, Stage::service, "control submit",
            "accounts aliases passwd", true,
            [](const PartSource& s) { return ipc::encode(conf::make_authd_config(s.config)); },
            "accounts"},
    Service{"keeper", "mailboxd", "_tambo-mail", Count::one, nullptr, Stage::store, "control",
            "mail", true,
            [](const PartSource& s) { return ipc::encode(conf::make_mailboxd_config(s.config)); },
            "mailboxes"},
    Service{"deliverd", "deliverd", "_tambo-store", Count::one, nullptr, Stage::delivery, "",
            "spool/bodies mail", true,
            [](const PartSource& s) { return ipc::encode(conf::make_deliverd_config(s.config)); },
            "local delivery"},
    Service{"queued", "queued", "_tambo-store", Count::one, nullptr, Stage::queue, "control",
            "spool", true,
            [](const PartSource& s) { return ipc::encode(conf::make_queued_config(s.config)); },
            "queue"},
    Service{"relayd", "relayd", "_tambo-relay", Count::numbered, &Processes::relay, Stage::relay,
            "", "ca-bundle root", false,
            [](const PartSource& s) {
                return ipc::encode(conf::make_relayd_config(s.config, s.smarthost_password));
            },
            "sending"},
    Service{"mx", "smtpd", "_tambo-smtp", Count::numbered, &Processes::smtp, Stage::network, "smtp",
            "certificate:* root", false, smtpd_part, "mail from other servers"},
    Service{"submit", "smtpd", "_tambo-submit", Count::numbered, &Processes::submission,
            Stage::network, "submission submissions", "certificate:* root", false,
            smtpd_part, "mail from our users"},
    Service{"imapd", "imapd", "_tambo-login", Count::generations, &Processes::imap, Stage::network,
            "imap imaps", "certificate:* root", false,
            [](const PartSource& s) { return ipc::encode(conf::make_imapd_config(s.config)); },
            "IMAP"},
    Service{"pop3d", "pop3d", "_tambo-login", Count::generations, &Processes::pop3, Stage::network,
            "pop3 pop3s", "certificate:* root", false,
            [](const PartSource& s) { return ipc::encode(conf::make_pop3d_config(s.config)); },
            "POP3"},
};

constexpr std::array kEdges{
    Edge{"mx", "queued", "messages"},
    Edge{"submit", "queued", "messages"},
    Edge{"mx", "authd", "may this be?"},
    Edge{"submit", "authd", "logins"},
    Edge{"mx", "dnsd", "names"},
    Edge{"submit", "dnsd", "names"},
    Edge{"mx", "keyd", "signatures"},
    Edge{"submit", "keyd", "signatures"},
    Edge{"imapd", "authd", "logins"},
    Edge{"pop3d", "authd", "logins"},
    Edge{"imapd", "keyd", "signatures"},
    Edge{"pop3d", "keyd", "signatures"},
    Edge{"authd", "keeper", "sessions"},
    Edge{"queued", "authd", "who gets it?"},
    Edge{"queued", "deliverd", "local mail"},
    Edge{"queued", "relayd", "mail for others"},
    Edge{"deliverd", "keeper", "filing"},
    Edge{"relayd", "dnsd", "MX"},
};

} // namespace

std::span<const Service> services() {
    return kServices;
}
std::span<const Edge> edges() {
    return kEdges;
}

const Service* find_service(std::string_view name) {
    const auto found = std::ranges::find(kServices, name, &Service::name);
    return found == kServices.end() ? nullptr : &*found;
}

std::vector<const Service*> peers_of(const Service& service) {
    std::vector<const Service*> peers;
    for (const Edge& edge : kEdges) {
        if (edge.a == service.name) peers.push_back(find_service(edge.b));
        if (edge.b == service.name) peers.push_back(find_service(edge.a));
    }
    return peers;
}

size_t process_count(const Service& service, const conf::Config& config) {
    if (service.count == Count::one) return 1;
    return static_cast<size_t>(config.processes.*service.processes);
}

std::string instance_name(const Service& service, uint64_t number) {
    if (service.count == Count::one) return std::string(service.name);
    return cat(service.name, '.', number);
}

std::vector<std::string_view> words(std::string_view list) {
    if (list.empty()) return {};
    return split(list, ' ');
}

} // namespace tambo::master
