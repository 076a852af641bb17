// The fields that tell what a part is: Content-Type (RFC 2045 5), Content-Disposition (RFC 2183),
// Content-Transfer-Encoding, with the parameters of RFC 2231. Reading is lenient and says where
// readers may disagree.
#pragma once

#include "common/mime/decode.h"
#include "common/mime/header.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mime {

struct Parameter {
    std::string name;      // lower-case, without section numbers and '*'
    std::string value;     // sections joined, quoting removed; raw bytes
    bool extended = false; // "name*": value is charset'language'percent-encoded (RFC 2231 4)

    // The value as UTF-8: RFC 2231, encoded words (as many senders write) or guessed.
    std::string decoded() const;
};

// UTF-8 text as the value of an extended parameter: utf-8''percent-encoded (RFC 2231 4).
std::string encode_parameter(std::string_view utf8);

// What makes readers disagree about a part (RULES.md D6). Bits.
enum Ambiguity : unsigned {
    kRepeatedField = 1,     // two Content-Type, Content-Transfer-Encoding or -Disposition fields
    kRepeatedParameter = 2, // two boundary, charset, filename, ... parameters
    kOddParameter = 4,  // sections with gaps, missing semicolons, unclosed quotes, over the limit
    kOddType = 8,       // a Content-Type that is no type/subtype
    kOddEncoding = 16,  // a transfer encoding that is not just one known word
    kOddContainer = 32, // multipart without usable boundary, encoded container
    kObsoleteName = 64  // "Content-Type : text/plain"
};

// A word or type/subtype and its parameters, in the order of their first appearance; of equal ones
// the first counts. At most limits::mime_parameters_max parameters are read.
struct ContentField {
    std::string type;    // as written; the disposition of Content-Disposition
    std::string subtype; // empty in Content-Disposition
    std::vector<Parameter> parameters;
    unsigned ambiguity = 0;

    bool is(std::string_view a_type, std::string_view a_subtype) const;
    // The parameter of that lower-case name, the extended one first; nullptr if there is none.
    const Parameter* find(std::string_view name) const;
};

// type stays empty if there is no type/subtype; then RFC 2045 5.2 says text/plain.
ContentField parse_content_type(std::string_view raw);
ContentField parse_content_disposition(std::string_view raw);

struct TransferEncoding {
    Encoding encoding = Encoding::identity;
    std::string token; // as written, "7bit" if there is none
    unsigned ambiguity = 0;
};
// nullopt: there is no such field.
TransferEncoding parse_transfer_encoding(std::optional<std::string_view> raw);

} // namespace tambo::mime
