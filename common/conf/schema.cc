// See schema.h. The rows stand in the order in which tambo.toml(5) shows them.
#include "common/conf/schema.h"

#include "common/base/edit_distance.h"
#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <limits>

namespace tambo::conf {

namespace {

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;
constexpr int64_t kGiB = 1024 * kMiB;
constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

using enum Type;
using enum Apply;

const std::array kKeys{
    // ---- the server
    Key{"hostname", text, "", 0, 0, restart,
        "The full name of this server, as in its MX record and its certificate. It is a local "
        "domain from the first start. The only key that must be set.",
        [](Config& c) -> Slot { return &c.hostname; }},
    Key{"directory", path, "/var/lib/tambo", 0, 0, restart,
        "Where everything lives: spool, mail, accounts, keys, log and control sockets, on one "
        "filesystem.",
        [](Config& c) -> Slot { return &c.directory; }},

    // ---- listen
    Key{"listen.smtp", endpoints, "*:25", 0, 0, restart,
        "Where mail from other servers is accepted. An empty list: nowhere.",
        [](Config& c) -> Slot { return &c.listen.smtp; }},
    Key{"listen.submission", endpoints, "*:587", 0, 0, restart,
        "Where users submit mail after STARTTLS (RFC 6409).",
        [](Config& c) -> Slot { return &c.listen.submission; }},
    Key{"listen.submissions", endpoints, "*:465", 0, 0, restart,
        "Where users submit mail under TLS from the first byte (RFC 8314).",
        [](Config& c) -> Slot { return &c.listen.submissions; }},
    Key{"listen.imap", endpoints, "*:143", 0, 0, restart, "IMAP; logging in needs STARTTLS first.",
        [](Config& c) -> Slot { return &c.listen.imap; }},
    Key{"listen.imaps", endpoints, "*:993", 0, 0, restart, "IMAP under TLS from the first byte.",
        [](Config& c) -> Slot { return &c.listen.imaps; }},
    Key{"listen.pop3", endpoints, "*:110", 0, 0, restart, "POP3; logging in needs STLS first.",
        [](Config& c) -> Slot { return &c.listen.pop3; }},
    Key{"listen.pop3s", endpoints, "*:995", 0, 0, restart, "POP3 under TLS from the first byte.",
        [](Config& c) -> Slot { return &c.listen.pop3s; }},

    // ---- tls
    Key{"tls.certificate", paths, "", 0, 0, reload,
        "PEM files, each with a certificate and its chain; the first one that fits the client is "
        "used. Without one, a self-signed certificate is made at the first start.",
        [](Config& c) -> Slot { return &c.tls.certificate; }},
    Key{"tls.key", paths, "", 0, 0, reload,
        "PEM files with the private keys, in the order of tls.certificate. Only keyd holds them.",
        [](Config& c) -> Slot { return &c.tls.key; }},

    // ---- smtp
    Key{"smtp.message_size_max", size, "50M", 64 * kKiB, 2047 * kMiB, reload,
        "The largest message that is accepted (RFC 1870), also by IMAP APPEND.",
        [](Config& c) -> Slot { return &c.smtp.message_size_max; }},
    Key{"smtp.recipients_max", integer, "1000", 100, 50'000, reload,
        "Recipients of one message (RFC 5321 4.5.3.1.8: at least 100).",
        [](Config& c) -> Slot { return &c.smtp.recipients_max; }},
    Key{"smtp.greeting_wait", duration, "5s", 0, kMinute, reload,
        "How long a stranger on port 25 waits for the greeting; who talks before it is refused. "
        "0 turns it off.",
        [](Config& c) -> Slot { return &c.smtp.greeting_wait_ms; }},
    Key{"smtp.sessions_max", integer, "1000", 1, 100'000, reload,
        "Connections that one smtpd process serves at a time.",
        [](Config& c) -> Slot { return &c.smtp.sessions_max; }},

    // ---- queue
    Key{"queue.retry_min", duration, "1m", 10, kDay, reload,
        "The wait before the second attempt to send a message; it grows with every attempt.",
        [](Config& c) -> Slot { return &c.queue.retry_min_ms; }},
    Key{"queue.retry_max", duration, "4000s", 10, 7 * kDay, reload,
        "The longest wait between two attempts.",
        [](Config& c) -> Slot { return &c.queue.retry_max_ms; }},
    Key{"queue.lifetime", duration, "5d", kSecond, 100 * kDay, reload,
        "How long sending is tried before the message is returned (RFC 5321 4.5.4.1).",
        [](Config& c) -> Slot { return &c.queue.lifetime_ms; }},
    Key{"queue.bounce_lifetime", duration, "2d", kSecond, 100 * kDay, reload,
        "The same for messages with a null sender, which are dropped afterwards.",
        [](Config& c) -> Slot { return &c.queue.bounce_lifetime_ms; }},
    Key{"queue.delay_notice", duration, "4h", 0, 100 * kDay, reload,
        "When the sender is told that a message is still waiting. 0: never.",
        [](Config& c) -> Slot { return &c.queue.delay_notice_ms; }},
    Key{"queue.disk_reserve", size, "256M", 0, kAny, reload,
        "With less space than this on the disk new mail is put off with 452; deleting still works.",
        [](Config& c) -> Slot { return &c.queue.disk_reserve; }},

    // ---- relay
    Key{"relay.port", integer, "25", 1, 65535, reload, "The port of other mail servers.",
        [](Config& c) -> Slot { return &c.relay.port; }},
    Key{"relay.smarthost", text, "", 0, 0, reload,
        "Send everything through this server: \"host\", \"host:port\" or \"smtps://host:port\"; "
        "port 587 (smtps: 465) if none is given. Empty: straight to the MX.",
        [](Config& c) -> Slot { return &c.relay.smarthost; }},
    Key{"relay.smarthost_user", text, "", 0, 0, reload,
        "The login name at the smarthost. Empty: no login.",
        [](Config& c) -> Slot { return &c.relay.smarthost_user; }},
    Key{"relay.smarthost_password_file", path, "", 0, 0, reload,
        "The file whose first line is the password at the smarthost; its mode should be 0600.",
        [](Config& c) -> Slot { return &c.relay.smarthost_password_file; }},
    Key{"relay.smarthost_tls", text, "auto", 0, 0, reload,
        "What is demanded of the smarthost's TLS: verify (a certificate that fits the name), "
        "encrypt, opportunistic, or auto: verify where a password is sent to another machine, else "
        "opportunistic.",
        [](Config& c) -> Slot { return &c.relay.smarthost_tls; },
        "auto|verify|encrypt|opportunistic"},
    Key{"relay.ca_file", path, "/etc/ssl/certs/ca-certificates.crt", 0, 0, reload,
        "PEM file with the certificate authorities that are trusted when sending.",
        [](Config& c) -> Slot { return &c.relay.ca_file; }},
    Key{"relay.sessions_max", integer, "100", 1, 10'000, reload,
        "Connections to other servers at a time, per relayd process.",
        [](Config& c) -> Slot { return &c.relay.sessions_max; }},

    // ---- dns
    Key{"dns.servers",
        endpoints,
        "",
        0,
        0,
        reload,
        "Name servers to ask (\"127.0.0.1\", \"[::1]:5353\"). Empty: those in dns.resolv_conf.",
        [](Config& c) -> Slot { return &c.dns.servers; },
        {},
        53},
    Key{"dns.resolv_conf", path, "/etc/resolv.conf", 0, 0, reload,
        "The resolver configuration of the machine (resolv.conf(5)).",
        [](Config& c) -> Slot { return &c.dns.resolv_conf; }},

    // ---- accounts and mail
    Key{"accounts.aliases_file", path, "/etc/aliases", 0, 0, reload,
        "Aliases of the machine (aliases(5)), read again whenever the file changes.",
        [](Config& c) -> Slot { return &c.accounts.aliases_file; }},
    Key{"accounts.passwd_file", path, "/etc/passwd", 0, 0, reload,
        "Names in it that have no account and no alias go to the postmaster.",
        [](Config& c) -> Slot { return &c.accounts.passwd_file; }},
    Key{"accounts.plus_separator", text, "+", 0, 0, reload,
        "alice+lists@example.org reaches alice. One character, or empty for none.",
        [](Config& c) -> Slot { return &c.accounts.plus_separator; }},
    Key{"store.quota", size, "0", 0, kAny, reload,
        "Space for the mail of an account that has no quota of its own. 0: no limit.",
        [](Config& c) -> Slot { return &c.store.quota; }},

    // ---- login daemons
    Key{"imap.generation", duration, "10m", kSecond, 7 * kDay, reload,
        "How long an imapd process accepts connections before a fresh one takes over.",
        [](Config& c) -> Slot { return &c.imap.generation_ms; }},
    Key{"imap.generation_connections", integer, "512", 1, 1'000'000, reload,
        "How many connections an imapd process accepts before a fresh one takes over.",
        [](Config& c) -> Slot { return &c.imap.generation_connections; }},
    Key{"imap.sessions_max", integer, "2000", 1, 100'000, reload,
        "IMAP connections that one imapd process serves at a time.",
        [](Config& c) -> Slot { return &c.imap.sessions_max; }},
    Key{"pop3.generation", duration, "10m", kSecond, 7 * kDay, reload,
        "How long a pop3d process accepts connections before a fresh one takes over.",
        [](Config& c) -> Slot { return &c.pop3.generation_ms; }},
    Key{"pop3.generation_connections", integer, "512", 1, 1'000'000, reload,
        "How many connections a pop3d process accepts before a fresh one takes over.",
        [](Config& c) -> Slot { return &c.pop3.generation_connections; }},
    Key{"pop3.sessions_max", integer, "1000", 1, 100'000, reload,
        "POP3 connections that one pop3d process serves at a time.",
        [](Config& c) -> Slot { return &c.pop3.sessions_max; }},

    // ---- limits
    Key{"limits.loopback", boolean, "false", 0, 0, reload,
        "Whether the limits of this section and the greeting wait hold for clients on this "
        "machine.",
        [](Config& c) -> Slot { return &c.limits.loopback; }},
    Key{"limits.connections_per_address", integer, "50", 1, 1'000'000, reload,
        "Connections at a time from one IPv4 address or one IPv6 /64.",
        [](Config& c) -> Slot { return &c.limits.connections_per_address; }},
    Key{"limits.connection_rate_per_minute", integer, "60", 1, 1'000'000, reload,
        "New connections in a minute from one IPv4 address or one IPv6 /64.",
        [](Config& c) -> Slot { return &c.limits.connection_rate_per_minute; }},
    Key{"limits.sessions_per_login_per_address", integer, "20", 1, 1'000'000, reload,
        "IMAP and POP3 sessions at a time of one login from one IPv4 address or one IPv6 /64.",
        [](Config& c) -> Slot { return &c.limits.sessions_per_login_per_address; }},
    Key{"limits.login_failures_per_address", integer, "20", 1, 1'000'000, reload,
        "Failed logins from one address within limits.login_failure_window; then it is refused "
        "until the window has passed. See Limits in authd(8).",
        [](Config& c) -> Slot { return &c.limits.login_failures_per_address; }},
    Key{"limits.login_failure_window", duration, "10m", kSecond, kDay, reload,
        "See limits.login_failures_per_address.",
        [](Config& c) -> Slot { return &c.limits.login_failure_window_ms; }},
    Key{"limits.login_delay_max", duration, "15s", 0, 5 * kMinute, reload,
        "The answer to a failed login is delayed by 1, 2, 4 ... seconds per address, up to this.",
        [](Config& c) -> Slot { return &c.limits.login_delay_max_ms; }},
    Key{"limits.messages_per_login_per_day", integer, "1000", 1, 100'000'000, reload,
        "Messages that one login may submit in a day (UTC).",
        [](Config& c) -> Slot { return &c.limits.messages_per_login_per_day; }},
    Key{"limits.recipients_per_login_per_day", integer, "5000", 1, 100'000'000, reload,
        "Recipients that one login may address in a day (UTC).",
        [](Config& c) -> Slot { return &c.limits.recipients_per_login_per_day; }},

    // ---- processes
    Key{"processes.smtp", integer, "1", 1, 64, restart,
        "Number of smtpd processes for listen.smtp.",
        [](Config& c) -> Slot { return &c.processes.smtp; }},
    Key{"processes.submission", integer, "1", 1, 64, restart,
        "Number of smtpd processes for listen.submission and listen.submissions.",
        [](Config& c) -> Slot { return &c.processes.submission; }},
    Key{"processes.imap", integer, "1", 1, 64, restart,
        "Number of imapd processes that accept connections.",
        [](Config& c) -> Slot { return &c.processes.imap; }},
    Key{"processes.pop3", integer, "1", 1, 64, restart,
        "Number of pop3d processes that accept connections.",
        [](Config& c) -> Slot { return &c.processes.pop3; }},
    Key{"processes.relay", integer, "1", 1, 64, restart, "Number of relayd processes.",
        [](Config& c) -> Slot { return &c.processes.relay; }},

    // ---- log
    Key{"log.target", text, "auto", 0, 0, restart,
        "Where events go: journal, file (log/events.log under directory), the absolute path of a "
        "file in a directory that belongs to _tambo-log, or auto: the journal where there is one, "
        "else file.",
        [](Config& c) -> Slot { return &c.log.target; }},
    Key{"log.file_size_max", size, "64M", 64 * kKiB, 16 * kGiB, reload,
        "A log file of this size is set aside and a new one begun.",
        [](Config& c) -> Slot { return &c.log.file_size_max; }},
    Key{"log.files_kept", integer, "8", 1, 1000, reload,
        "How many log files are kept, the current one included.",
        [](Config& c) -> Slot { return &c.log.files_kept; }},
};

std::string_view leaf(std::string_view name) {
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

} // namespace

std::span<const Key> keys() {
    return kKeys;
}

const Key* find_key(std::string_view name) {
    const auto found =
        std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& key) { return key.name == name; });
    return found == kKeys.end() ? nullptr : &*found;
}

std::string_view nearest_key(std::string_view name) {
    constexpr size_t kLongest = 100; // nobody means a key by more
    if (name.size() > kLongest) return {};
    const std::string folded = to_lower(name);
    std::string_view best;
    size_t best_distance = std::max<size_t>(2, name.size() / 4) + 1;
    for (const Key& key : kKeys) {
        // The right word in the wrong section counts as two edits.
        size_t distance = edit_distance(folded, key.name);
        if (leaf(folded) == leaf(key.name)) distance = std::min<size_t>(distance, 2);
        if (distance >= best_distance) continue;
        best = key.name;
        best_distance = distance;
    }
    return best;
}

} // namespace tambo::conf
