// Base64 (RFC 4648 4) for SASL, MIME headers and keys. MIME bodies are decoded by mime/decode.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tambo {

std::string base64_encode(std::string_view bytes);
// Strict: no blanks, right padding, no bits left over. nullopt otherwise.
std::optional<std::string> base64_decode(std::string_view text);

} // namespace tambo
