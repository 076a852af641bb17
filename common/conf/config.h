// The whole configuration, typed: what master has after reading tambo.toml. Every field is one row
// of the table in schema.cc, which also holds its default, range and help. Daemons never see this;
// they get their own part (<daemon>_config.h).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace tambo::conf {

// An IP address and a port. address "" is every address of the machine, IPv4 and IPv6.
struct Endpoint {
    std::string address;
    uint16_t port = 0;

    auto operator<=>(const Endpoint&) const = default;
    template <class V>
    void visit(V& v) {
        v(address, port);
    }
};

// Durations in milliseconds, sizes in bytes.
struct Config {
    std::string hostname;
    std::string directory;

    struct Listen {
        std::vector<Endpoint> smtp, submission, submissions, imap, imaps, pop3, pop3s;
    } listen;

    struct Smtp {
        int64_t message_size_max = 0, recipients_max = 0, greeting_wait_ms = 0, sessions_max = 0;
    } smtp;

    struct Queue {
        int64_t retry_min_ms = 0, retry_max_ms = 0, lifetime_ms = 0, bounce_lifetime_ms = 0;
        int64_t delay_notice_ms = 0, disk_reserve = 0;
    } queue;

    struct Relay {
        int64_t port = 0, sessions_max = 0;
        std::string smarthost, smarthost_user, smarthost_password_file, smarthost_tls, ca_file;
    } relay;

    struct Dns {
        std::vector<Endpoint> servers;
        std::string resolv_conf;
    } dns;

    struct Limits {
        bool loopback = false;
        int64_t connections_per_address = 0, connection_rate_per_minute = 0;
        int64_t sessions_per_login_per_address = 0;
        int64_t login_failures_per_address = 0, login_failure_window_ms = 0, login_delay_max_ms = 0;
        int64_t messages_per_login_per_day = 0, recipients_per_login_per_day = 0;
    } limits;

    struct Tls {
        std::vector<std::string> certificate, key;
    } tls;

    struct Accounts {
        std::string aliases_file, passwd_file, plus_separator;
    } accounts;

    struct Store {
        int64_t quota = 0;
    } store;

    struct Login {
        int64_t generation_ms = 0, generation_connections = 0, sessions_max = 0;
    } imap, pop3;

    struct Processes {
        int64_t smtp = 1, submission = 1, imap = 1, pop3 = 1, relay = 1;
    } processes;

    struct Log {
        std::string target;
        int64_t file_size_max = 0, files_kept = 0;
    } log;
};

} // namespace tambo::conf
