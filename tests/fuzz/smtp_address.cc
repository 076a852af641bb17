// Mailboxes: a parsed address has a text and a key that are themselves addresses with that key.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/smtp/address.h"
#include "common/smtp/domain.h"

using namespace tambo;
using namespace tambo::smtp;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Cursor in(text);
    static_cast<void>(take_path(in));
    const auto key = domain_key(text);
    if (key) check(domain_key(*key) == key, "a domain key is its own key");
    const auto ip = canonical_ip(text);
    if (ip) check(canonical_ip(*ip) == ip, "an address is its own form");
    const auto literal = address_literal_key(text);
    if (literal) check(canonical_ip(literal_address(*literal)).has_value(), "of a literal, too");
    const auto address = parse_address(text);
    if (!address) return 0;
    const auto again = parse_address(address->text());
    check(again.ok() && again->key() == address->key(), "the text means the same");
    check(again->local == address->local && again->domain == address->domain, "nothing is lost");
    const auto canonical = parse_address(address->key());
    // Folding may make a long local part too long; nothing else may happen.
    check(canonical.ok() || canonical.error() == AddressError::too_long, "a key is an address");
    if (canonical) check(canonical->key() == address->key(), "a key is its own key");
    check(is_ascii(address->domain_key), "domains are compared as A-labels");
    return 0;
}
