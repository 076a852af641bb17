#include "common/base/password_rule.h"

#include "common/base/text.h"

namespace tambo {

std::optional<std::string> password_problem(std::string_view password, bool weak) {
    if (password.empty() || (!weak && password.size() < kPasswordBytesMin)) {
        return "the password has fewer than 8 characters";
    }
    if (password.size() > kPasswordBytesMax) return "the password has more than 1024 bytes";
    if (!is_utf8(password)) return "the password is not UTF-8";
    return std::nullopt;
}

} // namespace tambo
