// From the input of sendmail(1) to what is submitted. Pure.
#include "cli/sendmail.h"

#include "common/base/text.h"
#include "common/mime/address.h"
#include "common/mime/header.h"
#include "common/smtp/address.h"

namespace tambo::cli {

namespace {

// Lines end in CRLF, whatever they ended in before; unless ignored, a lone dot ends the input.
std::string with_crlf(std::string_view input, bool ignore_dots) {
    std::string out;
    out.reserve(input.size() + input.size() / 32);
    while (!input.empty()) {
        const auto end = input.find('\n');
        std::string_view line = input.substr(0, end);
        input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
        while (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        if (!ignore_dots && line == ".") break;
        for (const char c : line) {
            if (c != '\r' && c != '\0') out.push_back(c);
        }
        out.append("\r\n");
    }
    return out;
}

// A message without any header field begins with its body.
void ensure_header(std::string& message) {
    const auto header = mime::Header::parse(message);
    const bool has_fields = !header.fields().empty() && !header.fields().front().name.empty();
    if (!has_fields && !message.starts_with("\r\n")) message.insert(0, "\r\n");
}

void add_recipients(std::string_view raw, std::vector<std::string>& recipients) {
    for (const auto& item : mime::parse_addresses(raw).items) {
        if (item.kind != mime::Address::Kind::mailbox || item.local.empty()) continue;
        recipients.push_back(item.domain.empty() ? item.local : item.spec());
    }
}

// Takes To, Cc and Bcc into recipients and Bcc out of the message.
void take_header_recipients(std::string& message, std::vector<std::string>& recipients) {
    const std::string original = message;
    const auto header = mime::Header::parse(original);
    std::string kept;
    size_t copied = 0;
    for (const auto& field : header.fields()) {
        const bool bcc = iequals(field.name, "Bcc");
        if (bcc || iequals(field.name, "To") || iequals(field.name, "Cc")) {
            add_recipients(field.value, recipients);
        }
        if (!bcc) continue;
        kept.append(original, copied, field.range.begin - copied);
        copied = field.range.end;
    }
    kept.append(original, copied, std::string::npos);
    message = std::move(kept);
}

// A bare name is a name of this host: the domain of the caller's address.
std::string qualify(const std::string& address, const std::string& caller_address) {
    if (address.find('@') != std::string::npos) return address;
    return address + caller_address.substr(caller_address.rfind('@'));
}

std::string quoted_phrase(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"' || c == '\\') out.push_back('\\');
        if (!is_ctl(c)) out.push_back(c);
    }
    out.push_back('"');
    return out;
}

} // namespace

std::optional<Submission> prepare(const SendmailOptions& options,
                                  std::string_view input,
                                  const std::string& caller_address,
                                  UtcTime now,
                                  std::string& error) {
    Submission submission;
    submission.message = with_crlf(input, options.ignore_dots);
    ensure_header(submission.message);
    submission.recipients = options.recipients;
    if (options.recipients_from_header) {
        take_header_recipients(submission.message, submission.recipients);
    }
    if (submission.recipients.empty()) {
        error = "no recipients; name them as arguments, or in the header with -t";
        return std::nullopt;
    }
    for (auto& recipient : submission.recipients) {
        recipient = qualify(recipient, caller_address);
        if (!smtp::parse_address(recipient)) {
            error = cat("not a mail address: ", escape(recipient));
            return std::nullopt;
        }
    }
    const std::string author =
        options.sender.empty() ? caller_address : qualify(options.sender, caller_address);
    if (!options.null_sender) submission.sender = author;
    const auto header = mime::Header::parse(submission.message);
    std::string added;
    if (header.find("From") == nullptr) {
        added += options.full_name.empty()
                     ? cat("From: ", author, "\r\n")
                     : cat("From: ", quoted_phrase(options.full_name), " <", author, ">\r\n");
    }
    if (header.find("Date") == nullptr) added += cat("Date: ", format_rfc5322(now), "\r\n");
    submission.message.insert(0, added);
    return submission;
}

std::string smtp_script(const Submission& submission, const std::string& host) {
    std::string script = cat("EHLO ", host, "\r\nMAIL FROM:<", submission.sender, ">");
    if (!is_ascii(submission.message)) script += " BODY=8BITMIME";
    bool utf8 = !is_ascii(submission.sender);
    for (const auto& recipient : submission.recipients)
        utf8 = utf8 || !is_ascii(recipient);
    if (utf8) script += " SMTPUTF8";
    script += "\r\n";
    for (const auto& recipient : submission.recipients) {
        script += cat("RCPT TO:<", recipient, ">\r\n");
    }
    script += "DATA\r\n";
    std::string_view rest = submission.message;
    while (!rest.empty()) {
        const auto end = rest.find("\r\n");
        const size_t length = end == std::string_view::npos ? rest.size() : end + 2;
        if (rest.front() == '.') script.push_back('.');
        script.append(rest.substr(0, length));
        rest.remove_prefix(length);
    }
    return script + ".\r\nQUIT\r\n";
}

} // namespace tambo::cli
