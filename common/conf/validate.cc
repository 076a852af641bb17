// See validate.h.
#include "common/conf/validate.h"

#include "common/base/text.h"
#include "common/conf/value.h"
#include "common/sys/file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <system_error>

namespace tambo::conf {

namespace {

constexpr size_t kPemBytesMax = 1u << 20;
constexpr size_t kPasswordBytesMax = 4096;

using Findings = std::vector<Finding>;

std::optional<std::string> read_or_report(const std::string& path,
                                          size_t max_bytes,
                                          std::string_view key,
                                          Findings& findings) {
    try {
        return read_file(path, max_bytes);
    } catch (const std::system_error& e) {
        findings.push_back(
            {key, Severity::error, cat(key, ": cannot read ", path, ": ", e.code().message())});
        return std::nullopt;
    }
}

void check_hostname(const Config& config, Findings& findings) {
    if (config.hostname.empty()) {
        findings.push_back({"hostname", Severity::error,
                            "hostname is not set; it is the one key that must be: hostname = "
                            "\"mail.example.org\""});
    } else if (!is_host_name(config.hostname)) {
        findings.push_back({"hostname", Severity::error,
                            cat("hostname: \"", escape(config.hostname, 60),
                                "\" is no full host name such as \"mail.example.org\"")});
    }
}

void check_tls(const Config& config, const Request& request, Findings& findings) {
    const auto& certificates = config.tls.certificate;
    if (certificates.size() != config.tls.key.size()) {
        findings.push_back({"tls.key", Severity::error,
                            cat("tls.key: ", config.tls.key.size(), " for ", certificates.size(),
                                " in tls.certificate; each certificate needs its key")});
    }
    for (size_t i = 0; i < std::max(certificates.size(), config.tls.key.size()); ++i) {
        std::optional<std::string> certificate, key;
        if (i < certificates.size()) {
            certificate =
                read_or_report(certificates[i], kPemBytesMax, "tls.certificate", findings);
        }
        if (i < config.tls.key.size()) {
            key = read_or_report(config.tls.key[i], kPemBytesMax, "tls.key", findings);
        }
        if (!certificate || !key || !request.check_certificate) continue;
        const auto wrong = request.check_certificate(*certificate, *key);
        explicit_bzero(key->data(), key->size());
        if (!wrong) continue;
        findings.push_back({"tls.certificate", Severity::error,
                            cat("tls.certificate: ", certificates[i], ": ", *wrong)});
    }
}

void check_password_file(const std::string& path, Findings& findings) {
    constexpr std::string_view kKey = "relay.smarthost_password_file";
    const auto content = read_or_report(path, kPasswordBytesMax, kKey, findings);
    if (!content) return;
    if (split_once(*content, '\n').first.empty()) {
        findings.push_back(
            {kKey, Severity::error, cat(kKey, ": the first line of ", path, " is empty")});
    }
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0 || (st.st_mode & 0077) == 0) return;
    findings.push_back(
        {kKey, Severity::warning, cat(kKey, ": ", path, " can be read by others; chmod 0600 it")});
}

void check_relay(const Config& config, Findings& findings) {
    const auto& relay = config.relay;
    if (!relay.smarthost.empty() && !parse_smarthost(relay.smarthost)) {
        findings.push_back({"relay.smarthost", Severity::error,
                            cat("relay.smarthost: \"", escape(relay.smarthost, 60),
                                "\" is not \"host\", \"host:port\" or \"smtps://host:port\"")});
    }
    if (!relay.smarthost_user.empty() && relay.smarthost_password_file.empty()) {
        findings.push_back({"relay.smarthost_user", Severity::error,
                            "relay.smarthost_user: relay.smarthost_password_file is needed too"});
    }
    if (!relay.smarthost_user.empty() && relay.smarthost.empty()) {
        findings.push_back({"relay.smarthost_user", Severity::warning,
                            "relay.smarthost_user: has no effect without relay.smarthost"});
    }
    if (!relay.smarthost_password_file.empty()) {
        check_password_file(relay.smarthost_password_file, findings);
    }
}

void check_values(const Config& config, Findings& findings) {
    if (config.directory.empty()) {
        findings.push_back({"directory", Severity::error, "directory: may not be empty"});
    }
    if (config.queue.retry_min_ms > config.queue.retry_max_ms) {
        findings.push_back({"queue.retry_min", Severity::error,
                            cat("queue.retry_min: ", format_duration(config.queue.retry_min_ms),
                                " is more than queue.retry_max (",
                                format_duration(config.queue.retry_max_ms), ')')});
    }
    const auto& separator = config.accounts.plus_separator;
    const bool atext =
        separator.size() == 1 && !is_alnum(separator[0]) &&
        std::string_view("+-_=#!$%&'*/?^`{|}~").find(separator[0]) != std::string_view::npos;
    if (!separator.empty() && !atext) {
        findings.push_back({"accounts.plus_separator", Severity::error,
                            "accounts.plus_separator: expected one character such as \"+\" or "
                            "\"-\", or \"\""});
    }
    const auto& target = config.log.target;
    if (target != "auto" && target != "journal" && target != "file" && !target.starts_with('/')) {
        findings.push_back({"log.target", Severity::error,
                            cat("log.target: expected auto, journal, file or an absolute path, "
                                "found \"",
                                escape(target, 60), '"')});
    }
}

// Two listeners of different services on one endpoint cannot both be bound.
void check_listeners(const Config& config, Findings& findings) {
    struct Seen {
        Endpoint endpoint;
        std::string_view key;
    };
    std::vector<Seen> seen;
    Config copy = config; // slot() wants a mutable one
    for (const Key& key : keys()) {
        if (!key.name.starts_with("listen.")) continue;
        for (const Endpoint& endpoint : *std::get<std::vector<Endpoint>*>(key.slot(copy))) {
            const auto clash = std::ranges::find_if(seen, [&](const Seen& other) {
                return endpoint.port != 0 && other.endpoint == endpoint;
            });
            if (clash != seen.end()) {
                findings.push_back({key.name, Severity::error,
                                    cat(key.name, ": ", format_endpoint(endpoint),
                                        " is already used by ", clash->key)});
            }
            seen.push_back({endpoint, key.name});
        }
    }
}

} // namespace

bool is_host_name(std::string_view name) {
    if (name.size() > 253 || name.find('.') == std::string_view::npos) return false;
    return std::ranges::all_of(split(name, '.'), [](std::string_view label) {
        return !label.empty() && label.size() <= 63 && label.front() != '-' &&
               label.back() != '-' &&
               std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-'; });
    });
}

bool is_loopback_host(std::string_view host) {
    return iequals(host, "localhost") || host == "::1" ||
           (host.starts_with("127.") && parse_endpoint(cat(host, ":1"), 0).has_value());
}

std::optional<Smarthost> parse_smarthost(std::string_view text) {
    Smarthost smarthost;
    smarthost.implicit_tls = text.starts_with("smtps://");
    for (const std::string_view scheme : {"smtps://", "smtp://"}) {
        if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
    }
    const int default_port = smarthost.implicit_tls ? 465 : 587;
    if (const auto literal = parse_endpoint(text, default_port)) {
        if (literal->address.empty() || literal->port == 0) return std::nullopt;
        smarthost.host = literal->address;
        smarthost.port = literal->port;
        return smarthost;
    }
    const auto [host, port_text] = split_once(text, ':');
    const bool has_port = host.size() != text.size();
    const auto port = has_port ? parse_uint(port_text, 65535)
                               : std::optional<uint64_t>(static_cast<uint64_t>(default_port));
    if (!port || *port == 0 || (!is_host_name(host) && !iequals(host, "localhost"))) {
        return std::nullopt;
    }
    smarthost.host = to_lower(host);
    smarthost.port = static_cast<uint16_t>(*port);
    return smarthost;
}

std::vector<Finding> validate(const Config& config, const Request& request) {
    Findings findings;
    check_hostname(config, findings);
    check_listeners(config, findings);
    check_tls(config, request, findings);
    check_values(config, findings);
    check_relay(config, findings);
    return findings;
}

} // namespace tambo::conf
