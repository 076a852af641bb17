// See address.h. One pass over a Cursor; domains are cut out first, then judged by domain.h.
#include "common/smtp/address.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/domain.h"
#include "common/smtp/fold.h"

#include <algorithm>

namespace tambo::smtp {

namespace {

// RFC 5322 3.2.3 atext, RFC 6531 3.3 (UTF-8; well-formedness is checked on the whole).
bool is_atext(char c) {
    constexpr std::string_view kSpecials = "!#$%&'*+-/=?^_`{|}~";
    return is_alnum(c) || is_8bit(c) || kSpecials.find(c) != std::string_view::npos;
}

bool is_dot_string(std::string_view local) {
    if (local.empty() || local.front() == '.' || local.back() == '.') return false;
    if (local.find("..") != std::string_view::npos) return false;
    return std::all_of(local.begin(), local.end(), [](char c) { return is_atext(c) || c == '.'; });
}

// U+0080..U+009F: no atom of RFC 6532 in spirit, and a terminal obeys them.
bool has_c1_control(std::string_view utf8) {
    for (size_t i = 0; i + 1 < utf8.size(); ++i) {
        const auto next = static_cast<unsigned char>(utf8[i + 1]);
        if (utf8[i] == '\xC2' && next >= 0x80 && next <= 0x9F) return true;
    }
    return false;
}

// RFC 5321 Quoted-string; the opening quote is next.
std::optional<std::string> take_quoted(Cursor& in) {
    std::string value;
    in.skip(1);
    while (!in.empty()) {
        char c = in.take();
        if (c == '"') return value;
        if (c == '\\') {
            if (in.empty() || is_8bit(in.peek())) return std::nullopt;
            c = in.take();
        }
        if (is_ctl(c)) return std::nullopt;
        value.push_back(c);
    }
    return std::nullopt;
}

std::optional<std::string> take_local(Cursor& in) {
    if (in.peek() == '"') return take_quoted(in);
    const auto local = in.take_while([](char c) { return is_atext(c) || c == '.'; });
    if (!is_dot_string(local)) return std::nullopt;
    return std::string(local);
}

bool ends_domain(char c) {
    return is_ctl(c) || c == ' ' || c == '>' || c == '<' || c == ',' || c == '@' || c == '"' ||
           c == '[';
}

// The bytes of a domain or an address literal, not yet judged.
std::string_view take_domain(Cursor& in, bool within_route) {
    if (in.peek() != '[') {
        return in.take_while(
            [&](char c) { return !ends_domain(c) && !(within_route && c == ':'); });
    }
    const size_t start = in.position();
    const auto rest = in.rest();
    in.take_while([](char c) { return c != ']' && !is_ctl(c) && c != ' '; });
    static_cast<void>(in.accept(']'));
    return rest.substr(0, in.position() - start);
}

std::optional<std::string> key_of(std::string_view domain) {
    return domain.starts_with('[') ? address_literal_key(domain) : domain_key(domain);
}

bool is_postmaster(std::string_view local) {
    return iequals(local, "postmaster");
}

Result<Address, AddressError> take_address(Cursor& in, std::string_view default_domain) {
    auto local = take_local(in);
    if (!local) return Err{AddressError::syntax};
    if (local->size() > limits::smtp_local_part_bytes) return Err{AddressError::too_long};
    if (!is_utf8(*local) || has_c1_control(*local)) return Err{AddressError::syntax};
    Address address;
    address.local_key = fold(*local);
    address.local = std::move(*local);
    const bool qualified = in.accept('@');
    if (!qualified && default_domain.empty()) {
        if (!is_postmaster(address.local)) return Err{AddressError::syntax};
        return address;
    }
    const auto domain = qualified ? take_domain(in, false) : default_domain;
    if (domain.size() > limits::smtp_domain_bytes) return Err{AddressError::too_long};
    auto key = key_of(domain);
    if (!key) return Err{AddressError::syntax};
    address.domain = domain;
    address.domain_key = std::move(*key);
    return address;
}

// "@a,@b:" (RFC 5321 A-d-l, appendix C); the first '@' is next.
bool take_route(Cursor& in) {
    do {
        if (!in.accept('@')) return false;
        if (!key_of(take_domain(in, true))) return false;
    } while (in.accept(','));
    return in.accept(':');
}

} // namespace

std::string quote_local(std::string_view local) {
    if (is_dot_string(local)) return std::string(local);
    std::string out = "\"";
    for (const char c : local) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    out.push_back('"');
    return out;
}

std::string Address::text() const {
    if (domain.empty()) return local;
    return cat(quote_local(local), '@', domain);
}

std::string Address::key() const {
    if (domain_key.empty()) return local_key;
    return cat(quote_local(local_key), '@', domain_key);
}

std::string Address::ascii_text() const {
    if (domain_key.empty()) return local;
    return cat(quote_local(local), '@', is_ascii(domain) ? domain : domain_key);
}

bool Address::is_international() const {
    return !is_ascii(local) || !is_ascii(domain);
}

Result<Address, AddressError> parse_address(std::string_view text) {
    if (text.size() > limits::smtp_path_bytes) return Err{AddressError::too_long};
    Cursor in(text);
    auto address = take_address(in, {});
    if (address && !in.empty()) return Err{AddressError::syntax};
    return address;
}

Result<Path, AddressError> take_path(Cursor& in, std::string_view default_domain) {
    const size_t start = in.position();
    if (!in.accept('<')) return Err{AddressError::syntax};
    Path path;
    if (in.accept('>')) return path;
    if (in.peek() == '@') {
        if (!take_route(in)) return Err{AddressError::syntax};
        path.source_route = true;
    }
    auto address = take_address(in, path.source_route ? std::string_view() : default_domain);
    if (!address) return Err{address.error()};
    if (!in.accept('>')) return Err{AddressError::syntax};
    if (in.position() - start > limits::smtp_path_bytes) return Err{AddressError::too_long};
    path.address = std::move(*address);
    if (path.source_route && path.address->is_bare_postmaster()) return Err{AddressError::syntax};
    return path;
}

PlusParts split_plus(std::string_view local, char separator) {
    const auto at = local.find(separator);
    if (at == std::string_view::npos || at == 0) return PlusParts{local, {}, false};
    return PlusParts{local.substr(0, at), local.substr(at + 1), true};
}

} // namespace tambo::smtp
