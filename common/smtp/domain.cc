// See domain.h. ICU is asked only for names that are not plain LDH.
#include "common/smtp/domain.h"

#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/fold.h"

#include <arpa/inet.h>
#include <unicode/uidna.h>

#include <array>
#include <cstring>

namespace tambo::smtp {

namespace {

constexpr size_t kNameBytesMax = 253;
constexpr size_t kLabelBytesMax = 63;

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > kLabelBytesMax) return false;
    if (label.front() == '-' || label.back() == '-') return false;
    for (const char c : label) {
        if (!is_alnum(c) && c != '-') return false;
    }
    return true;
}

const UIDNA* idna() {
    static const UIDNA* const instance = [] {
        UErrorCode status = U_ZERO_ERROR;
        const UIDNA* opened =
            uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
                                UIDNA_CHECK_CONTEXTO | UIDNA_NONTRANSITIONAL_TO_ASCII,
                            &status);
        check(U_SUCCESS(status) && opened != nullptr, "ICU without UTS #46 tables");
        return opened;
    }();
    return instance;
}

std::optional<std::string> idn_key(std::string_view domain) {
    if (!is_utf8(domain)) return std::nullopt;
    UErrorCode status = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    std::array<char, 512> ascii{};
    const int32_t length =
        uidna_nameToASCII_UTF8(idna(), domain.data(), static_cast<int32_t>(domain.size()),
                               ascii.data(), static_cast<int32_t>(ascii.size()), &info, &status);
    if (U_FAILURE(status) || info.errors != 0) return std::nullopt;
    const std::string key = to_lower({ascii.data(), static_cast<size_t>(length)});
    if (!is_ldh_name(key)) return std::nullopt;
    return key;
}

// inet_pton wants a terminated string; the longest address has 45 characters.
template <int Family, size_t Size>
std::optional<std::string> canonical(std::string_view text) {
    std::array<char, 48> copy{};
    if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    std::memcpy(copy.data(), text.data(), text.size());
    std::array<unsigned char, Size> address{};
    if (inet_pton(Family, copy.data(), address.data()) != 1) return std::nullopt;
    inet_ntop(Family, address.data(), copy.data(), copy.size());
    return std::string(copy.data());
}

constexpr std::string_view kIpv6Tag = "IPv6:";

} // namespace

bool is_ldh_name(std::string_view name) {
    if (name.empty() || name.size() > kNameBytesMax) return false;
    for (;;) {
        const auto dot = name.find('.');
        if (!is_label(name.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        name.remove_prefix(dot + 1);
    }
}

std::optional<std::string> domain_key(std::string_view domain) {
    if (domain.size() > limits::smtp_domain_bytes) return std::nullopt;
    if (is_ldh_name(domain)) return to_lower(domain);
    if (is_ascii(domain)) return std::nullopt;
    return idn_key(domain);
}

std::optional<std::string> canonical_ip(std::string_view text) {
    if (text.find(':') == std::string_view::npos) return canonical<AF_INET, 4>(text);
    return canonical<AF_INET6, 16>(text);
}

std::optional<std::string> address_literal_key(std::string_view literal) {
    if (literal.size() < 3 || literal.front() != '[' || literal.back() != ']') return std::nullopt;
    auto inner = literal.substr(1, literal.size() - 2);
    const bool ipv6 = istarts_with(inner, kIpv6Tag);
    if (ipv6) inner.remove_prefix(kIpv6Tag.size());
    const auto ip = ipv6 ? canonical<AF_INET6, 16>(inner) : canonical<AF_INET, 4>(inner);
    if (!ip) return std::nullopt;
    return cat('[', ipv6 ? kIpv6Tag : "", *ip, ']');
}

std::string literal_address(std::string_view literal_key) {
    check(address_literal_key(literal_key) == literal_key, "not an address literal");
    auto inner = literal_key.substr(1, literal_key.size() - 2);
    if (inner.starts_with(kIpv6Tag)) inner.remove_prefix(kIpv6Tag.size());
    return std::string(inner);
}

void load_unicode_tables() {
    // U+00FC U+0301 needs folding, normalisation and Punycode.
    static_cast<void>(domain_key("\xC3\xBC\xCC\x81.example"));
    static_cast<void>(fold("\xC3\x9C\xCC\x81"));
}

} // namespace tambo::smtp
