#include "smtpd/envelope.h"

#include "common/base/text.h"
#include "common/mime/address.h"
#include "common/smtp/address.h"

#include <algorithm>

namespace tambo::smtpd {

using mime::Watched;

namespace {

constexpr size_t kFieldBytesMax = 512; // of what goes into events

// In one line: queued takes no control characters.
std::string first_value(const mime::HeaderScanner& header, Watched name) {
    const auto values = header.values(name);
    if (values.empty()) return {};
    std::string out;
    for (const char c : trim(values[0]).substr(0, kFieldBytesMax)) {
        if (c == '\r' || c == '\n') continue;
        out.push_back(is_ctl(c) ? ' ' : c);
    }
    return out;
}

ipc::BodyType body_type(const Transaction& mail, const Content& content) {
    // Whoever forgets BODY=8BITMIME still sent 8-bit bytes; the relay has to know.
    const bool eight = mail.body == smtp::BodyType::eight_bit_mime || content.has_8bit();
    return eight ? ipc::BodyType::eightbitmime : ipc::BodyType::sevenbit;
}

// RFC 6409 8.2, 8.3: what a submission server may add.
std::string missing_fields(const mime::HeaderScanner& header,
                           const TraceFacts& facts,
                           const Transaction& mail,
                           std::string_view login) {
    std::string fields;
    if (header.count(Watched::from) == 0) {
        fields += cat("From: <", mail.reverse_path.empty() ? login : mail.reverse_path, ">\r\n");
    }
    if (header.count(Watched::date) == 0) {
        fields += cat("Date: ", format_rfc5322(facts.time), "\r\n");
    }
    if (header.count(Watched::message_id) == 0) {
        fields += cat("Message-ID: <", facts.qid.text(), '@', facts.hostname, ">\r\n");
    }
    return fields;
}

} // namespace

Authors find_authors(const mime::HeaderScanner& header,
                     Watched field,
                     std::string_view default_domain) {
    Authors authors;
    if (header.count(field) == 0) return authors;
    authors.verdict = Authors::Verdict::refused;
    const auto& fields = header.fields();
    const auto found = std::ranges::find(fields, field, &mime::KeptField::name);
    const bool whole = found != fields.end() && !found->truncated;
    if (header.count(field) > 1 || !whole) return authors;
    const std::string_view value = found->value;
    const mime::Author author = mime::check_author({&value, 1});
    using enum mime::Author::Verdict;
    const bool nameable = author.verdict == ok || author.verdict == several ||
                          (author.verdict == incomplete && !default_domain.empty());
    if (!nameable || author.mailboxes.empty()) return authors;
    std::string domain_key;
    for (const mime::Address& mailbox : author.mailboxes) {
        const std::string domain(mailbox.domain.empty() ? default_domain : mailbox.domain);
        const auto address =
            smtp::parse_address(cat(smtp::quote_local(mailbox.local), '@', domain));
        if (!address) return authors;
        if (!domain_key.empty() && address->domain_key != domain_key) return authors;
        domain_key = address->domain_key;
        authors.addresses.push_back(address->key());
    }
    authors.verdict = Authors::Verdict::fine;
    return authors;
}

ipc::EnvelopeStart make_envelope(const TraceFacts& facts,
                                 const Content& content,
                                 const Transaction& mail,
                                 std::string_view login) {
    ipc::EnvelopeStart envelope;
    envelope.qid = facts.qid;
    envelope.reverse_path = mail.reverse_path;
    envelope.helo = facts.hello.text;
    envelope.client_name = facts.client_name;
    envelope.protocol = protocol_name(facts);
    envelope.message_id = first_value(content.header(), Watched::message_id);
    envelope.header_from = first_value(content.header(), Watched::from);
    envelope.parameters.body = body_type(mail, content);
    envelope.parameters.smtputf8 = mail.smtputf8;
    envelope.prefix = received_field(facts);
    if (!login.empty()) envelope.prefix += missing_fields(content.header(), facts, mail, login);
    if (content.lacks_header()) envelope.prefix += "\r\n";
    return envelope;
}

} // namespace tambo::smtpd
