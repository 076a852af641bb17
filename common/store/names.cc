#include "common/store/names.h"

#include "common/base/limits.h"
#include "common/base/text.h"

namespace tambo::store {

namespace {

bool is_valid_level(std::string_view level) {
    if (level.empty() || level.size() > limits::mailbox_level_bytes) return false;
    if (level == "." || level == "..") return false;
    for (const char c : level) {
        if (is_ctl(c) || c == '%' || c == '*') return false;
    }
    return true;
}

} // namespace

std::optional<std::string> normalise_name(std::string_view name) {
    if (name.size() > limits::mailbox_name_bytes || !is_utf8(name)) return std::nullopt;
    const auto levels = split(name, '/');
    if (levels.size() > limits::mailbox_levels) return std::nullopt;
    for (const auto level : levels) {
        if (!is_valid_level(level)) return std::nullopt;
    }
    std::string stored(name);
    if (iequals(levels[0], "INBOX")) {
        if (levels.size() > 1 && iequals(levels[1], "INBOX")) return std::nullopt;
        stored.replace(0, 5, "INBOX");
    }
    return stored;
}

std::string_view parent_of(std::string_view name) {
    const auto slash = name.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

std::vector<std::string> ancestors_of(std::string_view name) {
    std::vector<std::string> ancestors;
    for (auto slash = name.find('/'); slash != std::string_view::npos;
         slash = name.find('/', slash + 1)) {
        ancestors.emplace_back(name.substr(0, slash));
    }
    return ancestors;
}

bool is_below(std::string_view name, std::string_view tree) {
    return name.size() > tree.size() && name.starts_with(tree) && name[tree.size()] == '/';
}

} // namespace tambo::store
