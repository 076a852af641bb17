#include "common/smtp/sasl.h"

#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tambo::smtp {

namespace {

constexpr std::array<MechanismRow, 2> kMechanisms{
    {{Mechanism::plain, "PLAIN"}, {Mechanism::login, "LOGIN"}}};

bool is_name(std::string_view name) {
    return name.size() <= limits::sasl_name_bytes && is_utf8(name) &&
           std::none_of(name.begin(), name.end(), is_ctl);
}

bool is_password(std::string_view password) {
    return !password.empty() && password.size() <= limits::sasl_password_bytes &&
           is_utf8(password) && password.find('\0') == std::string_view::npos;
}

} // namespace

Credentials::~Credentials() {
    explicit_bzero(password.data(), password.size());
}

std::span<const MechanismRow> sasl_mechanisms() {
    return kMechanisms;
}

std::optional<Mechanism> find_mechanism(std::string_view name) {
    for (const MechanismRow& row : kMechanisms) {
        if (iequals(row.name, name)) return row.mechanism;
    }
    return std::nullopt;
}

std::optional<Credentials> parse_plain(std::string_view message) {
    const auto first = message.find('\0');
    if (first == std::string_view::npos) return std::nullopt;
    const auto second = message.find('\0', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const auto authorization = message.substr(0, first);
    const auto authentication = message.substr(first + 1, second - first - 1);
    const auto password = message.substr(second + 1);
    if (!is_name(authorization) || !is_name(authentication) || authentication.empty()) {
        return std::nullopt;
    }
    if (!is_password(password)) return std::nullopt;
    Credentials credentials;
    credentials.authorization = authorization;
    credentials.authentication = authentication;
    credentials.password = password;
    return credentials;
}

const Credentials& SaslExchange::credentials() const {
    check(complete_, "credentials of an unfinished exchange");
    return credentials_;
}

SaslExchange::State SaslExchange::ask(Wanted what, std::string_view challenge) {
    wanted_ = what;
    challenge_ = challenge;
    return State::challenge;
}

SaslExchange::State SaslExchange::end(bool good) {
    wanted_ = Wanted::nothing;
    complete_ = good;
    return good ? State::complete : State::malformed;
}

SaslExchange::State SaslExchange::start(std::optional<std::string_view> initial) {
    check(wanted_ == Wanted::nothing && !complete_, "exchange started twice");
    const State asked = mechanism_ == Mechanism::plain
                            ? ask(Wanted::plain, "")
                            : ask(Wanted::name, "Username:"); // what every client expects to see
    return initial ? answer(*initial) : asked;
}

SaslExchange::State SaslExchange::answer(std::string_view message) {
    switch (wanted_) {
    case Wanted::plain: {
        auto parsed = parse_plain(message);
        if (parsed) credentials_ = std::move(*parsed);
        return end(parsed.has_value());
    }
    case Wanted::name:
        if (!is_name(message) || message.empty()) return end(false);
        credentials_.authentication = message;
        return ask(Wanted::password, "Password:");
    case Wanted::password:
        if (!is_password(message)) return end(false);
        credentials_.password = message;
        return end(true);
    case Wanted::nothing:
        break;
    }
    check(false, "answer without a challenge");
    return State::malformed;
}

} // namespace tambo::smtp
