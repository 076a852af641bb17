#include "smtpd/received.h"

#include "common/base/text.h"

namespace tambo::smtpd {

namespace {

// A name that a client made up must not end a comment or a clause.
std::string harmless(std::string_view name) {
    std::string out;
    for (const char c : name) {
        const bool good = is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':';
        out.push_back(good ? c : '?');
    }
    return out;
}

std::string from_clause(const TraceFacts& facts) {
    if (facts.client_literal.empty()) return cat("from localhost (uid ", facts.uid, ')');
    const bool other = facts.hello.kind == smtp::HelloName::Kind::other;
    return cat("from ", other ? harmless(facts.hello.text) : facts.hello.text, " (",
               facts.client_name.empty() ? "unknown" : facts.client_name, ' ', facts.client_literal,
               ')');
}

} // namespace

std::string protocol_name(const TraceFacts& facts) {
    std::string name = facts.smtputf8 ? "UTF8SMTP" : facts.extended ? "ESMTP" : "SMTP";
    if (!facts.extended) return name;
    if (!facts.tls_version.empty()) name.push_back('S');
    if (facts.authenticated) name.push_back('A');
    return name;
}

std::string received_field(const TraceFacts& facts) {
    std::string field = cat("Received: ", from_clause(facts), "\r\n\tby ", facts.hostname,
                            " (Tambo) with ", protocol_name(facts), " id ", facts.qid.text());
    if (!facts.tls_version.empty()) {
        field += cat("\r\n\t(", facts.tls_version, ' ', harmless(facts.tls_cipher), ')');
    }
    if (!facts.only_recipient.empty()) field += cat("\r\n\tfor <", facts.only_recipient, '>');
    return field + cat("; ", format_rfc5322(facts.time), "\r\n");
}

} // namespace tambo::smtpd
