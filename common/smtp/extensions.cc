#include "common/smtp/extensions.h"

#include "common/base/text.h"
#include "common/smtp/sasl.h"

#include <array>

namespace tambo::smtp {

namespace {

using enum Extension;

constexpr std::array<ExtensionRow, 9> kTable{{
    {pipelining, "PIPELINING", Announced::always},                     // RFC 2920
    {size, "SIZE", Announced::always},                                 // RFC 1870
    {eight_bit_mime, "8BITMIME", Announced::always},                   // RFC 6152
    {enhanced_status_codes, "ENHANCEDSTATUSCODES", Announced::always}, // RFC 2034
    {smtputf8, "SMTPUTF8", Announced::always},                         // RFC 6531
    {starttls, "STARTTLS", Announced::before_tls},                     // RFC 3207
    {auth, "AUTH", Announced::submission_under_tls},                   // RFC 4954
    {dsn, "DSN", Announced::never},                                    // RFC 3461
    {chunking, "CHUNKING", Announced::never},                          // RFC 3030
}};

bool is_announced(Announced when, const ChannelFacts& facts) {
    switch (when) {
    case Announced::always:
        return true;
    case Announced::before_tls:
        return facts.tls_possible && !facts.tls_active;
    case Announced::submission_under_tls:
        return facts.takes_logins && facts.tls_active;
    case Announced::never:
        return false;
    }
    return false;
}

} // namespace

std::span<const ExtensionRow> extension_table() {
    return kTable;
}

const ExtensionRow* find_extension(std::string_view keyword) {
    for (const ExtensionRow& row : kTable) {
        if (iequals(row.keyword, keyword)) return &row;
    }
    return nullptr;
}

ExtensionSet announced(const ChannelFacts& facts) {
    ExtensionSet set;
    for (const ExtensionRow& row : kTable) {
        if (is_announced(row.when, facts)) set.add(row.extension);
    }
    return set;
}

std::string ehlo_text(std::string_view hostname, ExtensionSet set, uint64_t message_size_max) {
    std::string text(hostname);
    for (const ExtensionRow& row : kTable) {
        if (!set.has(row.extension)) continue;
        text.append("\n").append(row.keyword);
        if (row.extension == Extension::size) cat_to(text.append(" "), message_size_max);
        if (row.extension != Extension::auth) continue;
        for (const auto& mechanism : sasl_mechanisms())
            text.append(" ").append(mechanism.name);
    }
    return text;
}

} // namespace tambo::smtp
