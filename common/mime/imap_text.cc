// See imap_text.h. The recursion over parts is as deep as the tree, at most mime_depth_max.
#include "common/mime/imap_text.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/address.h"
#include "common/mime/content.h"
#include "common/mime/encoded_word.h"
#include "common/mime/idna.h"
#include "common/mime/lexer.h"

#include <algorithm>
#include <array>
#include <optional>

namespace tambo::mime {

namespace {

// Longer ones are literals: some clients have bounded lines.
constexpr size_t kQuotedBytes = 1000;

// What clients know from other servers for an address without one of its halves; NIL would mean a
// group.
constexpr std::string_view kNoMailbox = "MISSING_MAILBOX";
constexpr std::string_view kNoDomain = "MISSING_DOMAIN";

// text as form can carry it.
std::string convert(std::string_view text, const ImapForm& form) {
    if (is_ascii(text)) return std::string(text);
    return form.utf8 ? guess_utf8(text) : encode_words(decode_words(text));
}

void append_field(std::string& out,
                  const Header& header,
                  std::string_view name,
                  const ImapForm& form) {
    const Field* field = header.find(name);
    if (field == nullptr) {
        out += "NIL";
        return;
    }
    append_imap_string(out, unfold(field->value), form);
}

void append_string_or_nil(std::string& out, std::string_view text, const ImapForm& form) {
    if (text.empty()) {
        out += "NIL";
    } else {
        append_imap_string(out, text, form);
    }
}

// An address that ASCII cannot carry: RFC 6858 2.1, unless only the domain is at fault.
void downgrade(Address& address) {
    if (is_ascii(address.local)) {
        if (auto ascii = to_a_labels(guess_utf8(address.domain))) {
            address.domain = std::move(*ascii);
            return;
        }
    }
    const std::string spec = cat(address.local, '@', address.domain);
    address.name = address.name.empty() ? spec : cat(address.name, " <", spec, '>');
    address.local = "invalid";
    address.domain = "internationalized-address.invalid";
}

void append_address(std::string& out, Address address, const ImapForm& form) {
    if (address.kind == Address::Kind::group_end) {
        out += "(NIL NIL NIL NIL)";
        return;
    }
    if (address.kind == Address::Kind::group_begin) {
        out += "(NIL NIL ";
        append_imap_string(out, address.name, form);
        out += " NIL)";
        return;
    }
    if (!form.utf8 && !(is_ascii(address.local) && is_ascii(address.domain))) downgrade(address);
    if (address.local.empty() && !address.valid) address.local = kNoMailbox;
    if (address.domain.empty()) address.domain = kNoDomain;
    out += '(';
    append_string_or_nil(out, address.name, form);
    out += ' ';
    append_string_or_nil(out, address.route, form);
    out += ' ';
    append_imap_string(out, address.local, form);
    out += ' ';
    append_imap_string(out, address.domain, form);
    out += ')';
}

// The addresses of all fields of that name, empty if there are none. merge: of all such fields,
// else of the first (RFC 5322 allows one; several To and Cc are common).
std::string
addresses(const Header& header, std::string_view name, bool merge, const ImapForm& form) {
    std::string out;
    size_t left = limits::mime_addresses_max;
    for (const Field& field : header.fields()) {
        if (left == 0 || !iequals(field.name, name)) continue;
        AddressList list = parse_addresses(field.value, left);
        left -= std::min(left, list.items.size());
        for (Address& address : list.items)
            append_address(out, std::move(address), form);
        if (!merge) break;
    }
    return out;
}

void append_list(std::string& out, std::string_view items) {
    if (items.empty()) {
        out += "NIL";
    } else {
        out.append(1, '(').append(items).append(1, ')');
    }
}

void append_parameter(std::string& out, const Parameter& parameter, const ImapForm& form) {
    if (form.utf8) { // RFC 9051 7.5.2, "body parameter parenthesized list"
        append_imap_string(out, cat(parameter.name, parameter.extended ? "*" : ""), form);
        out += ' ';
        append_imap_string(out, parameter.extended ? parameter.decoded() : parameter.value, form);
        return;
    }
    const bool encode = !is_ascii(parameter.value);
    append_imap_string(out, cat(parameter.name, parameter.extended || encode ? "*" : ""), form);
    out += ' ';
    append_imap_string(out, encode ? encode_parameter(parameter.decoded()) : parameter.value, form);
}

void append_parameters(std::string& out,
                       const std::vector<Parameter>& parameters,
                       const ImapForm& form) {
    if (parameters.empty()) {
        out += "NIL";
        return;
    }
    char before = '(';
    for (const Parameter& parameter : parameters) {
        out += before;
        append_parameter(out, parameter, form);
        before = ' ';
    }
    out += ')';
}

void append_disposition(std::string& out, const Header& header, const ImapForm& form) {
    const Field* field = header.find("Content-Disposition");
    const ContentField disposition =
        field == nullptr ? ContentField{} : parse_content_disposition(field->value);
    if (disposition.type.empty()) {
        out += "NIL";
        return;
    }
    out += '(';
    append_imap_string(out, disposition.type, form);
    out += ' ';
    append_parameters(out, disposition.parameters, form);
    out += ')';
}

// RFC 3282: tags with commas between.
void append_language(std::string& out, const Header& header, const ImapForm& form) {
    std::string tags;
    size_t count = 0;
    const std::string value = unfold(header.value("Content-Language"));
    for (const auto piece : split(value, ',')) {
        const auto tag = trim(piece);
        if (tag.empty()) continue;
        if (count++ > 0) tags += ' ';
        append_imap_string(tags, tag, form);
    }
    if (count > 1) {
        append_list(out, tags);
    } else {
        out += count == 1 ? tags : "NIL";
    }
}

class BodyWriter {
  public:
    BodyWriter(const MessageView& message,
               const Structure& structure,
               bool extended,
               const ImapForm& form)
        : message_(message), structure_(structure), extended_(extended), form_(form) {}

    void part(uint32_t index);
    std::string take() { return std::move(out_); }

  private:
    void multipart(const Part& part, const Header& header);
    void single(const Part& part, const Header& header);
    void unseen(const Part& part);
    void fields(const Part& part, const Header& header);
    void message(const Part& part);
    void parameters(const Part& part, const Header& header);
    void extension(const Header& header);

    const MessageView& message_;
    const Structure& structure_;
    const bool extended_;
    const ImapForm form_;
    std::string out_;
};

void BodyWriter::part(uint32_t index) {
    const Part& part = structure_.parts[index];
    if (out_.size() > limits::mime_structure_bytes) return unseen(part);
    std::string scratch;
    const Header header = part_header(message_, part, scratch);
    out_ += '(';
    if (part.kind == Part::Kind::multipart) {
        multipart(part, header);
    } else {
        single(part, header);
    }
    out_ += ')';
}

void BodyWriter::multipart(const Part& part, const Header& header) {
    for (uint32_t child = part.first_child; child != kNoPart;
         child = structure_.parts[child].next) {
        this->part(child);
    }
    if (part.first_child == kNoPart) { // the grammar wants at least one
        out_ += R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)";
        out_ += extended_ ? " NIL NIL NIL NIL)" : ")";
    }
    out_ += ' ';
    append_imap_string(out_, part.subtype, form_);
    if (!extended_) return;
    out_ += ' ';
    parameters(part, header);
    extension(header);
}

void BodyWriter::single(const Part& part, const Header& header) {
    const bool basic_global = part.is("message", "global") && !form_.rev2;
    append_imap_string(out_, part.opaque ? "application" : part.type, form_);
    out_ += ' ';
    append_imap_string(out_, part.opaque ? "octet-stream" : part.subtype, form_);
    out_ += ' ';
    fields(part, header);
    if (part.kind == Part::Kind::message && !basic_global) {
        message(part);
    } else if (!part.opaque && iequals(part.type, "text")) {
        cat_to(out_, ' ');
        cat_to(out_, part.lines);
    }
    if (!extended_) return;
    out_ += ' ';
    append_field(out_, header, "Content-MD5", form_);
    extension(header);
}

// Three lists of an envelope come from one From field, and a message may have thousands of them:
// what is computed must not grow to a multiple of the message.
void BodyWriter::unseen(const Part& part) {
    cat_to(out_, R"(("application" "octet-stream" NIL NIL NIL "7bit" )");
    cat_to(out_, part.body.size());
    out_ += extended_ ? " NIL NIL NIL NIL)" : ")";
}

// body-fields of the grammar.
void BodyWriter::fields(const Part& part, const Header& header) {
    parameters(part, header);
    out_ += ' ';
    append_field(out_, header, "Content-ID", form_);
    out_ += ' ';
    append_field(out_, header, "Content-Description", form_);
    out_ += ' ';
    append_imap_string(out_, part.encoding_token, form_);
    out_ += ' ';
    cat_to(out_, part.body.size());
}

// envelope, body and lines of the message in a part.
void BodyWriter::message(const Part& part) {
    std::string scratch;
    const Header inner = part_header(message_, structure_.parts[part.first_child], scratch);
    out_ += ' ';
    out_ += envelope_text(inner, form_);
    out_ += ' ';
    this->part(part.first_child);
    out_ += ' ';
    cat_to(out_, part.lines);
}

void BodyWriter::parameters(const Part& part, const Header& header) {
    if (part.has_type) {
        append_parameters(out_, parse_content_type(header.value("Content-Type")).parameters, form_);
    } else {
        const bool text = iequals(part.type, "text") && !part.opaque;
        out_ += text ? R"(("charset" "us-ascii"))" : "NIL"; // RFC 2045 5.2
    }
}

void BodyWriter::extension(const Header& header) {
    out_ += ' ';
    append_disposition(out_, header, form_);
    out_ += ' ';
    append_language(out_, header, form_);
    out_ += ' ';
    append_field(out_, header, "Content-Location", form_);
}

std::string write_body(const MessageView& message,
                       const Structure& structure,
                       bool extended,
                       const ImapForm& form) {
    BodyWriter writer(message, structure, extended, form);
    writer.part(0);
    return writer.take();
}

} // namespace

void append_imap_string(std::string& out, std::string_view raw, const ImapForm& form) {
    std::string text = convert(raw, form);
    std::erase(text, '\0');
    const bool quotable =
        text.size() <= kQuotedBytes && text.find_first_of("\r\n") == std::string::npos;
    if (quotable) {
        out += quoted(text);
    } else {
        out += cat('{', text.size(), "}\r\n", text);
    }
}

// RFC 9051 7.5.2.
std::string envelope_text(const Header& header, const ImapForm& form) {
    std::string out = "(";
    append_field(out, header, "Date", form);
    out += ' ';
    append_field(out, header, "Subject", form);
    const std::string from = addresses(header, "From", false, form);
    const std::string sender = addresses(header, "Sender", false, form);
    const std::string reply_to = addresses(header, "Reply-To", false, form);
    for (const auto* list :
         {&from, sender.empty() ? &from : &sender, reply_to.empty() ? &from : &reply_to}) {
        out += ' ';
        append_list(out, *list);
    }
    for (const auto name : {"To", "Cc", "Bcc"}) {
        out += ' ';
        append_list(out, addresses(header, name, true, form));
    }
    out += ' ';
    append_field(out, header, "In-Reply-To", form);
    out += ' ';
    append_field(out, header, "Message-ID", form);
    out += ')';
    return out;
}

std::string
body_text(const MessageView& message, const Structure& structure, const ImapForm& form) {
    return write_body(message, structure, false, form);
}

std::string
bodystructure_text(const MessageView& message, const Structure& structure, const ImapForm& form) {
    return write_body(message, structure, true, form);
}

} // namespace tambo::mime
