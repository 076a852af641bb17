// See command.h. MAIL and RCPT share one scheme: keyword, path, then parameters through a table.
#include "common/smtp/command.h"

#include "common/base/base64.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/domain.h"
#include "common/smtp/parameter.h"
#include "common/smtp/reply_texts.h"
#include "common/smtp/xtext.h"

#include <algorithm>
#include <array>
#include <span>

namespace tambo::smtp {

namespace {

constexpr size_t kEnvidBytesMax = 100; // RFC 3461 4.4
constexpr size_t kOrcptBytesMax = 500; // RFC 3461 4.2
constexpr size_t kSizeDigitsMax = 20;  // RFC 1870 3

enum class Verdict { good, malformed, unknown };

// One keyword of one verb. apply() judges the value and stores it.
template <class Command>
struct ParameterRow {
    std::string_view keyword;
    Extension extension;
    Verdict (*apply)(Command& command, const Parameter& parameter);
};

bool is_printable_ascii(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return is_ctl(c) || is_8bit(c); });
}

Verdict apply_size(MailCommand& mail, const Parameter& p) {
    const bool digits = std::all_of(p.value.begin(), p.value.end(), is_digit);
    if (!p.has_value || !digits || p.value.size() > kSizeDigitsMax) return Verdict::malformed;
    mail.size = parse_uint(p.value).value_or(UINT64_MAX);
    return Verdict::good;
}

Verdict apply_body(MailCommand& mail, const Parameter& p) {
    if (!p.has_value) return Verdict::malformed;
    if (iequals(p.value, "7BIT")) {
        mail.body = BodyType::seven_bit;
    } else if (iequals(p.value, "8BITMIME")) {
        mail.body = BodyType::eight_bit_mime;
    } else {
        return Verdict::unknown; // BINARYMIME belongs to an extension that is not announced
    }
    return Verdict::good;
}

Verdict apply_smtputf8(MailCommand& mail, const Parameter& p) {
    mail.smtputf8 = true;
    return p.has_value ? Verdict::malformed : Verdict::good;
}

Verdict apply_auth(MailCommand& mail, const Parameter& p) {
    const auto decoded = xtext_decode(p.value);
    if (!p.has_value || !decoded) return Verdict::malformed;
    if (*decoded != "<>" && !parse_address(*decoded)) return Verdict::malformed;
    mail.auth = *decoded;
    return Verdict::good;
}

Verdict apply_ret(MailCommand& mail, const Parameter& p) {
    const bool full = iequals(p.value, "FULL");
    if (!full && !iequals(p.value, "HDRS")) return Verdict::malformed;
    mail.ret = full ? DsnReturn::full : DsnReturn::headers;
    return Verdict::good;
}

Verdict apply_envid(MailCommand& mail, const Parameter& p) {
    const auto decoded = xtext_decode(p.value);
    if (!p.has_value || !decoded || !is_printable_ascii(*decoded)) return Verdict::malformed;
    if (p.value.size() > kEnvidBytesMax) return Verdict::malformed;
    mail.envid = p.value;
    return Verdict::good;
}

Verdict apply_notify(RcptCommand& rcpt, const Parameter& p) {
    struct Word {
        std::string_view name;
        uint8_t bit;
    };
    constexpr std::array<Word, 4> kWords{{{"NEVER", notify::never},
                                          {"SUCCESS", notify::success},
                                          {"FAILURE", notify::failure},
                                          {"DELAY", notify::delay}}};
    for (const auto item : split(p.value, ',')) {
        const auto* word = std::find_if(kWords.begin(), kWords.end(),
                                        [&](const Word& w) { return iequals(w.name, item); });
        if (word == kWords.end() || (rcpt.notify & word->bit) != 0) return Verdict::malformed;
        rcpt.notify = static_cast<uint8_t>(rcpt.notify | word->bit);
    }
    const bool never = (rcpt.notify & notify::never) != 0;
    return never && rcpt.notify != notify::never ? Verdict::malformed : Verdict::good;
}

Verdict apply_orcpt(RcptCommand& rcpt, const Parameter& p) {
    const auto [type, address] = split_once(p.value, ';');
    const bool typed = !type.empty() && std::all_of(type.begin(), type.end(),
                                                    [](char c) { return is_alnum(c) || c == '-'; });
    if (!typed || address.empty() || p.value.size() > kOrcptBytesMax) return Verdict::malformed;
    if (iequals(type, "utf-8")) { // RFC 6533 3: unitext needs no decoding
        rcpt.orcpt = p.value;
        return Verdict::good;
    }
    const auto decoded = xtext_decode(address);
    if (!decoded || !is_printable_ascii(*decoded)) return Verdict::malformed;
    rcpt.orcpt = p.value;
    return Verdict::good;
}

constexpr std::array<ParameterRow<MailCommand>, 6> kMailParameters{{
    {"SIZE", Extension::size, apply_size},
    {"BODY", Extension::eight_bit_mime, apply_body},
    {"SMTPUTF8", Extension::smtputf8, apply_smtputf8},
    {"AUTH", Extension::auth, apply_auth},
    {"RET", Extension::dsn, apply_ret},
    {"ENVID", Extension::dsn, apply_envid},
}};

constexpr std::array<ParameterRow<RcptCommand>, 2> kRcptParameters{{
    {"NOTIFY", Extension::dsn, apply_notify},
    {"ORCPT", Extension::dsn, apply_orcpt},
}};

// nullopt: all parameters are in command.
template <class Command>
std::optional<ReplyText> take_parameters(Cursor& in,
                                         Command& command,
                                         std::span<const ParameterRow<Command>> table,
                                         ExtensionSet announced) {
    unsigned seen = 0;
    while (!in.empty()) {
        const auto parameter = take_parameter(in);
        if (!parameter) return replies::bad_parameter;
        const auto row = std::find_if(table.begin(), table.end(), [&](const auto& r) {
            return iequals(r.keyword, parameter->keyword) && announced.has(r.extension);
        });
        if (row == table.end()) return replies::unknown_parameter;
        const unsigned bit = 1u << (row - table.begin());
        if ((seen & bit) != 0) return replies::bad_parameter;
        seen |= bit;
        const Verdict verdict = row->apply(command, *parameter);
        if (verdict == Verdict::unknown) return replies::unknown_parameter;
        if (verdict == Verdict::malformed) return replies::bad_parameter;
    }
    return std::nullopt;
}

// "FROM:" or "TO:"; a blank behind it is against the grammar, but as common as harmless.
bool take_keyword(Cursor& in, std::string_view keyword) {
    if (!istarts_with(in.rest(), keyword)) return false;
    in.skip(keyword.size());
    in.take_while(is_wsp);
    return true;
}

} // namespace

CommandLine split_command(std::string_view line) {
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    auto arguments = line.substr(end);
    while (!arguments.empty() && is_wsp(arguments.front()))
        arguments.remove_prefix(1);
    while (!arguments.empty() && is_wsp(arguments.back()))
        arguments.remove_suffix(1);
    return CommandLine{line.substr(0, end), arguments};
}

std::optional<HelloName> parse_hello(std::string_view arguments) {
    if (arguments.empty() || arguments.size() > limits::smtp_domain_bytes) return std::nullopt;
    if (arguments.find(' ') != std::string_view::npos) return std::nullopt;
    HelloName name;
    if (address_literal_key(arguments)) {
        name.kind = HelloName::Kind::literal;
    } else if (is_ldh_name(arguments)) {
        name.kind = HelloName::Kind::domain;
    } else if (!is_ascii(arguments)) { // RFC 6531 3.7.1: A-labels here, but be kind to U-labels
        const auto key = domain_key(arguments);
        if (!key) return std::nullopt;
        name.kind = HelloName::Kind::domain;
        name.text = *key;
        return name;
    } else if (!is_printable_ascii(arguments)) {
        return std::nullopt;
    }
    name.text = arguments;
    return name;
}

Result<MailCommand, ReplyText> parse_mail(std::string_view arguments,
                                          ExtensionSet announced,
                                          std::string_view default_domain) {
    Cursor in(arguments);
    if (!take_keyword(in, "FROM:")) return Err{replies::bad_syntax};
    auto path = take_path(in, default_domain);
    if (!path || path->source_route) return Err{replies::bad_sender};
    if (!path->is_null() && path->address->is_bare_postmaster()) return Err{replies::bad_sender};
    MailCommand mail;
    mail.reverse_path = std::move(*path);
    const auto refusal = take_parameters(
        in, mail, std::span<const ParameterRow<MailCommand>>(kMailParameters), announced);
    if (refusal) return Err{*refusal};
    const bool international =
        !mail.reverse_path.is_null() && mail.reverse_path.address->is_international();
    if (international && !mail.smtputf8) return Err{replies::needs_smtputf8};
    return mail;
}

Result<RcptCommand, ReplyText> parse_rcpt(std::string_view arguments,
                                          ExtensionSet announced,
                                          bool smtputf8,
                                          std::string_view default_domain) {
    Cursor in(arguments);
    if (!take_keyword(in, "TO:")) return Err{replies::bad_syntax};
    auto path = take_path(in, default_domain);
    if (!path || path->is_null()) return Err{replies::bad_recipient};
    if (path->source_route) return Err{replies::source_route};
    if (path->address->is_international() && !smtputf8) return Err{replies::needs_smtputf8};
    RcptCommand rcpt;
    rcpt.forward_path = std::move(*path);
    const auto refusal = take_parameters(
        in, rcpt, std::span<const ParameterRow<RcptCommand>>(kRcptParameters), announced);
    if (refusal) return Err{*refusal};
    return rcpt;
}

Result<AuthCommand, ReplyText> parse_auth(std::string_view arguments) {
    const auto [mechanism, initial] = split_once(arguments, ' ');
    const bool named = !mechanism.empty() && mechanism.size() <= 20 && // RFC 4422 3.1
                       std::all_of(mechanism.begin(), mechanism.end(),
                                   [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
    if (!named) return Err{replies::bad_syntax};
    AuthCommand command{mechanism, std::nullopt};
    const auto text = trim(initial);
    if (text.empty()) return command;
    if (text == "=") { // RFC 4954 4: an initial response of no bytes
        command.initial = "";
        return command;
    }
    command.initial = base64_decode(text);
    if (!command.initial) return Err{replies::auth_bad_base64};
    return command;
}

} // namespace tambo::smtp
