// See parts.h.
#include "common/conf/parts.h"

#include "common/base/check.h"
#include "common/conf/validate.h"

namespace tambo::conf {

namespace {

TlsDemand smarthost_demand(const Config& config, const Smarthost& smarthost) {
    const auto& wanted = config.relay.smarthost_tls;
    if (wanted == "verify") return TlsDemand::verify;
    if (wanted == "encrypt") return TlsDemand::encrypt;
    if (wanted == "opportunistic") return TlsDemand::opportunistic;
    const bool secret_leaves = !config.relay.smarthost_user.empty();
    if (!secret_leaves || is_loopback_host(smarthost.host)) return TlsDemand::opportunistic;
    return TlsDemand::verify;
}

LoginConfig make_login_config(const Config& config, const Config::Login& login) {
    LoginConfig part;
    part.hostname = config.hostname;
    part.generation_ms = login.generation_ms;
    part.generation_connections = login.generation_connections;
    part.sessions_max = login.sessions_max;
    part.limits_on_loopback = config.limits.loopback;
    return part;
}

} // namespace

SmtpdConfig make_smtpd_config(const Config& config) {
    SmtpdConfig part;
    part.hostname = config.hostname;
    part.message_size_max = config.smtp.message_size_max;
    part.recipients_max = config.smtp.recipients_max;
    part.greeting_wait_ms = config.smtp.greeting_wait_ms;
    part.sessions_max = config.smtp.sessions_max;
    part.limits_on_loopback = config.limits.loopback;
    return part;
}

QueuedConfig make_queued_config(const Config& config) {
    QueuedConfig part;
    part.hostname = config.hostname;
    part.retry_min_ms = config.queue.retry_min_ms;
    part.retry_max_ms = config.queue.retry_max_ms;
    part.lifetime_ms = config.queue.lifetime_ms;
    part.bounce_lifetime_ms = config.queue.bounce_lifetime_ms;
    part.delay_notice_ms = config.queue.delay_notice_ms;
    part.message_size_max = config.smtp.message_size_max;
    part.recipients_max = config.smtp.recipients_max;
    part.disk_reserve = config.queue.disk_reserve;
    part.relay_sessions_max = config.relay.sessions_max;
    return part;
}

RelaydConfig make_relayd_config(const Config& config, const std::string& password) {
    RelaydConfig part;
    part.hostname = config.hostname;
    part.port = static_cast<uint16_t>(config.relay.port);
    part.sessions_max = config.relay.sessions_max;
    part.own_listeners = config.listen.smtp;
    if (config.relay.smarthost.empty()) return part;
    const auto smarthost = parse_smarthost(config.relay.smarthost);
    check(smarthost.has_value(), "relay.smarthost was validated");
    part.smarthost.host = smarthost->host;
    part.smarthost.port = smarthost->port;
    part.smarthost.implicit_tls = smarthost->implicit_tls;
    part.smarthost.tls = smarthost_demand(config, *smarthost);
    part.smarthost.user = config.relay.smarthost_user;
    if (!part.smarthost.user.empty()) part.smarthost.password = password;
    return part;
}

LoginConfig make_imapd_config(const Config& config) {
    return make_login_config(config, config.imap);
}

LoginConfig make_pop3d_config(const Config& config) {
    return make_login_config(config, config.pop3);
}

MailboxdConfig make_mailboxd_config(const Config& config) {
    return {config.hostname, config.store.quota, config.smtp.message_size_max,
            config.queue.disk_reserve};
}

AuthdConfig make_authd_config(const Config& config) {
    AuthdConfig part;
    part.hostname = config.hostname;
    part.plus_separator = config.accounts.plus_separator;
    part.quota = config.store.quota;
    part.limits_on_loopback = config.limits.loopback;
    part.connections_per_address = config.limits.connections_per_address;
    part.connection_rate_per_minute = config.limits.connection_rate_per_minute;
    part.sessions_per_login_per_address = config.limits.sessions_per_login_per_address;
    part.login_failures_per_address = config.limits.login_failures_per_address;
    part.login_failure_window_ms = config.limits.login_failure_window_ms;
    part.login_delay_max_ms = config.limits.login_delay_max_ms;
    part.messages_per_login_per_day = config.limits.messages_per_login_per_day;
    part.recipients_per_login_per_day = config.limits.recipients_per_login_per_day;
    return part;
}

DnsdConfig make_dnsd_config(const Config& config) {
    return {config.hostname, config.dns.servers};
}

DeliverdConfig make_deliverd_config(const Config& config) {
    return {config.queue.disk_reserve};
}

KeydConfig make_keyd_config(const Config& config) {
    return {static_cast<uint32_t>(config.tls.key.size())};
}

LogdConfig make_logd_config(const Config& config, bool journal) {
    LogdConfig part;
    const auto& target = config.log.target;
    part.journal = target == "journal" || (target == "auto" && journal);
    part.file = target.starts_with('/') ? target.substr(target.rfind('/') + 1) : "events.log";
    part.file_size_max = config.log.file_size_max;
    part.files_kept = config.log.files_kept;
    return part;
}

} // namespace tambo::conf
