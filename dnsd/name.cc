// See name.h.
#include "dnsd/name.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <array>

namespace tambo::dnsd {

namespace {

constexpr size_t kNameBytesMax = 253;
constexpr size_t kLabelBytesMax = 63;

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > kLabelBytesMax) return false;
    for (const char c : label) {
        if (!is_alnum(c) && c != '-' && c != '_') return false;
    }
    return true;
}

std::string reverse_v4(const std::array<unsigned char, 16>& bytes) {
    return cat(int{bytes[3]}, '.', int{bytes[2]}, '.', int{bytes[1]}, '.', int{bytes[0]},
               ".in-addr.arpa");
}

std::string reverse_v6(const std::array<unsigned char, 16>& bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string name;
    for (size_t i = bytes.size(); i-- > 0;) {
        cat_to(name, kDigits[bytes[i] & 15]);
        cat_to(name, '.');
        cat_to(name, kDigits[bytes[i] >> 4]);
        cat_to(name, '.');
    }
    return name + "ip6.arpa";
}

} // namespace

std::optional<std::string> question_name(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.size() > kNameBytesMax) return std::nullopt;
    for (const auto label : split(name, '.')) {
        if (!is_label(label)) return std::nullopt;
    }
    return to_lower(name);
}

bool is_host_name(std::string_view name) {
    for (const auto label : split(name, '.')) {
        if (!is_label(label) || label.front() == '-' || label.back() == '-') return false;
        if (label.find('_') != std::string_view::npos) return false;
    }
    return true;
}

std::optional<std::string> reverse_name(std::string_view address) {
    const std::string text(address);
    if (text.find('\0') != std::string::npos) return std::nullopt;
    std::array<unsigned char, 16> bytes{};
    if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return reverse_v4(bytes);
    if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return reverse_v6(bytes);
    return std::nullopt;
}

} // namespace tambo::dnsd
