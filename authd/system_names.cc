#include "authd/system_names.h"

#include "common/base/text.h"

namespace tambo::authd {

namespace {

std::string unquoted(std::string_view text) {
    text = trim(text);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    return std::string(text);
}

// Splits at commas outside double quotes.
std::vector<std::string> split_targets(std::string_view text) {
    std::vector<std::string> targets;
    std::string current;
    bool quoted = false;
    for (const char c : text) {
        if (c == '"') quoted = !quoted;
        if (c == ',' && !quoted) {
            targets.push_back(unquoted(current));
            current.clear();
        } else {
            current.push_back(c);
        }
    }
    targets.push_back(unquoted(current));
    std::erase_if(targets, [](const std::string& t) { return t.empty(); });
    return targets;
}

bool is_supported(std::string_view target) {
    return !target.starts_with('|') && !target.starts_with('/') && !target.starts_with(":");
}

void leave_out(SystemAliases& aliases, size_t line, std::string_view text, bool is_target) {
    constexpr size_t kTextMax = 200;
    if (aliases.left_out.size() < SystemAliases::kLeftOutMax) {
        aliases.left_out.push_back({line, std::string(text.substr(0, kTextMax)), is_target});
    }
    ++aliases.left_out_total;
}

void add_entry(SystemAliases& aliases, std::string_view entry, size_t line) {
    if (entry.empty()) return;
    const auto colon = entry.find(':');
    const std::string name =
        colon == std::string_view::npos ? "" : to_lower(unquoted(entry.substr(0, colon)));
    const auto targets = colon == std::string_view::npos ? std::vector<std::string>()
                                                         : split_targets(entry.substr(colon + 1));
    if (name.empty() || targets.empty()) return leave_out(aliases, line, trim(entry), false);
    for (const auto& target : targets) {
        if (is_supported(target)) {
            aliases.targets[name].push_back(target);
        } else {
            leave_out(aliases, line, target, true);
        }
    }
}

} // namespace

SystemAliases parse_aliases(std::string_view text) {
    SystemAliases aliases;
    std::string entry;
    size_t number = 0, begun = 0;
    for (const auto line : split(text, '\n')) {
        ++number;
        if (trim(line).empty() || line.front() == '#') continue;
        if (!is_wsp(line.front())) {
            add_entry(aliases, entry, begun);
            entry.clear();
        }
        if (entry.empty()) begun = number;
        entry.append(line);
    }
    add_entry(aliases, entry, begun);
    return aliases;
}

SystemUsers parse_passwd(std::string_view text) {
    SystemUsers users;
    for (const auto line : split(text, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() < 4 || fields[0].empty()) continue;
        const auto uid = parse_uint(fields[2], UINT32_MAX);
        if (!uid) continue;
        const auto number = static_cast<uint32_t>(*uid);
        users.uids.emplace(to_lower(fields[0]), number);
        users.names.emplace(number, fields[0]);
    }
    return users;
}

} // namespace tambo::authd
