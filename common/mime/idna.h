// Internationalized domain names (RFC 5890 to 5892) to the form that every program can carry.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tambo::mime {

// The domain with A-labels ("xn--..."), lower-case; nullopt if a label is not allowed.
std::optional<std::string> to_a_labels(std::string_view utf8_domain);

} // namespace tambo::mime
