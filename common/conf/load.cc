// See load.h. TOML is flattened into dotted keys with their places; each is looked up in the schema
// and assigned. Nothing else in the suite includes toml++.
#include "common/conf/load.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/conf/validate.h"
#include "common/conf/value.h"
#include "common/sys/file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <tuple>

namespace tambo::conf {

namespace {

constexpr size_t kFileBytesMax = 1u << 20;
constexpr int kWrongLinesMax = 16; // beyond which a file is not looked at further

Place place_of(const std::string& file, const toml::source_region& source) {
    return {file, source.begin.line, source.begin.column};
}

bool is_note(std::string_view name) {
    return name.starts_with("x_");
}

std::string kind_name(const toml::node& node) {
    switch (node.type()) {
    case toml::node_type::table:
        return "a section";
    case toml::node_type::array:
        return "a mixed list";
    case toml::node_type::floating_point:
        return "a number with a fraction";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
        return "a date or time";
    default:
        return "another kind of value";
    }
}

Raw to_raw(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* flag = node.as_boolean()) return flag->get();
    if (const auto* number = node.as_integer()) return number->get();
    const auto* array = node.as_array();
    if (!array) return OtherKind{kind_name(node)};
    std::vector<std::string> items;
    for (const toml::node& item : *array) {
        const auto* text = item.as_string();
        const auto* number = item.as_integer(); // ports
        if (!text && !number) return OtherKind{kind_name(node)};
        items.push_back(text ? text->get() : cat(number->get()));
    }
    return items;
}

// The line (from 1) without its end; the last one if there are fewer.
std::string_view line_of(std::string_view content, int64_t line) {
    for (; line > 1; --line) {
        const size_t end = content.find('\n');
        if (end == std::string_view::npos) break;
        content.remove_prefix(end + 1);
    }
    return content.substr(0, content.find('\n'));
}

// The mistake that everybody makes once.
std::string missing_quotes(std::string_view line) {
    const auto [key, value] = split_once(line, '=');
    const auto text = trim(split_once(value, '#').first);
    const bool is_flag = iequals(text, "true") || iequals(text, "false");
    const bool is_text = !text.empty() && !is_flag &&
                         (is_alnum(text[0]) || text[0] == '/' || text[0] == '*') &&
                         !std::ranges::all_of(text, is_digit);
    return is_text ? cat("; text stands in quotes: ", escape(trim(key)), " = \"", escape(text), '"')
                   : "";
}

// What can be read of a file that is not TOML.
struct Rest {
    toml::table table;
    std::string wrong_lines;
    // From here on keys may be those of a section whose heading is wrong.
    int64_t believed_to_line = INT64_MAX;
};

// Each line that the parser stops at is taken out, and it tries again. With strings of several
// lines nobody knows which line is inside one.
std::optional<Rest> parse_right_lines(std::string content) {
    if (content.find("\"\"\"") != std::string::npos || content.find("'''") != std::string::npos) {
        return std::nullopt;
    }
    Rest rest;
    for (int attempts = 0; attempts < kWrongLinesMax; ++attempts) {
        try {
            rest.table = toml::parse(content);
            return rest;
        } catch (const toml::parse_error& e) {
            const int64_t number = e.source().begin.line;
            const auto wrong = line_of(content, number);
            if (trim(wrong).starts_with('[')) {
                rest.believed_to_line = std::min(rest.believed_to_line, number);
            }
            rest.wrong_lines += wrong;
            content.erase(static_cast<size_t>(wrong.data() - content.data()), wrong.size());
        }
    }
    return std::nullopt;
}

class Loading {
  public:
    explicit Loading(const Request& request) : request_(request), config_(defaults()) {}

    Loaded run() {
        read(request_.file);
        for (const auto& file : fragments())
            read(file);
        for (const auto& setting : request_.settings)
            set(setting);
        for (auto& finding : validate(config_, request_)) {
            if (failed_.contains(finding.key)) continue; // it says nothing about the default
            report(place(finding.key), finding.severity, std::move(finding.message));
        }
        std::ranges::stable_sort(loaded_.problems, {}, [this](const Problem& p) {
            return std::tuple(file_order(p.place.file), p.place.line, p.place.column);
        });
        const bool errors = std::ranges::any_of(
            loaded_.problems, [](const Problem& p) { return p.severity == Severity::error; });
        if (!failed_.contains("directory")) loaded_.located = config_;
        if (!errors) loaded_.config = std::move(config_);
        return std::move(loaded_);
    }

  private:
    void report(Place place, Severity severity, std::string message) {
        loaded_.problems.push_back({std::move(place), severity, std::move(message)});
    }

    Place place(std::string_view key) const {
        const auto found = loaded_.places.find(key);
        return found == loaded_.places.end() ? Place{request_.file, 1, 1} : found->second;
    }

    // Files in the order in which they were read; the command line last.
    size_t file_order(const std::string& file) const {
        return static_cast<size_t>(std::ranges::find(files_, file) - files_.begin());
    }

    std::vector<std::string> fragments() const {
        std::vector<std::string> found;
        std::error_code error; // no conf.d is as good as an empty one
        const auto directory = std::filesystem::path(request_.file).parent_path() / "conf.d";
        for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
            const auto name = entry.path().filename().string();
            if (name.ends_with(".toml") && !name.starts_with('.')) found.push_back(entry.path());
        }
        std::ranges::sort(found);
        return found;
    }

    void read(const std::string& file) {
        files_.push_back(file);
        try {
            const std::string content = read_file(file, kFileBytesMax);
            try {
                take_table(toml::parse(content, file), "", file);
            } catch (const toml::parse_error& e) {
                const auto line = line_of(content, e.source().begin.line);
                report(place_of(file, e.source()), Severity::error,
                       cat(escape(e.description()), missing_quotes(line))); // it quotes the file
                take_location(content, file);
            }
        } catch (const std::system_error& e) {
            report({file, 0, 0}, Severity::error, cat("cannot read: ", e.code().message()));
            failed_.insert({"hostname", "directory"});
        }
    }

    // Of a file that is not TOML: where the suite is, if that can be read without the lines that
    // are wrong. What else such a file says is not worth a complaint of its own.
    void take_location(const std::string& content, const std::string& file) {
        const auto rest = parse_right_lines(content);
        for (const std::string_view name : {"hostname", "directory"}) {
            const toml::node* node = rest ? rest->table.get(name) : nullptr;
            const bool believed = node && node->source().begin.line < rest->believed_to_line;
            const Key* key = find_key(name);
            if (believed && !assign(*key, config_, to_raw(*node))) {
                loaded_.places.insert_or_assign(std::string(name), place_of(file, node->source()));
            } else if (node || !rest || rest->wrong_lines.find(name) != std::string::npos) {
                failed_.insert(key->name); // set in a wrong line, or wrongly
            }
        }
    }

    void take_table(const toml::table& table, const std::string& section, const std::string& file) {
        for (const auto& [toml_key, node] : table) {
            const std::string_view name = toml_key.str();
            if (is_note(name)) continue;
            const std::string full = section.empty() ? std::string(name) : cat(section, '.', name);
            const Place at = place_of(file, toml_key.source());
            if (const Key* key = find_key(full)) {
                take_value(*key, to_raw(node), at, place_of(file, node.source()));
            } else if (const auto* inner = node.as_table(); inner && is_section(full)) {
                take_table(*inner, full, file);
            } else {
                unknown(full, at);
            }
        }
    }

    static bool is_section(const std::string& name) {
        return std::ranges::any_of(
            keys(), [&](const Key& key) { return key.name.starts_with(name + "."); });
    }

    void
    take_value(const Key& key, const Raw& value, const Place& key_place, const Place& value_place) {
        if (auto wrong = assign(key, config_, value)) {
            report(value_place, Severity::error, std::move(*wrong));
            failed_.insert(key.name);
            return;
        }
        loaded_.places.insert_or_assign(std::string(key.name), key_place);
    }

    void unknown(const std::string& name, const Place& at) {
        const auto near = nearest_key(name);
        report(at, Severity::error,
               cat("unknown key \"", escape(name, 100), '"',
                   near.empty() ? "" : cat("; did you mean \"", near, "\"?")));
    }

    void set(const std::string& setting) {
        const auto [name, value] = split_once(setting, '=');
        const Place at{cat("--set ", escape(name, 100)), 0, 0};
        files_.push_back(at.file);
        if (name.size() == setting.size()) {
            report(at, Severity::error, "expected KEY=VALUE");
            return;
        }
        const Key* key = find_key(name);
        if (!key) {
            unknown(std::string(name), at);
        } else if (auto wrong = assign_text(*key, config_, value)) {
            report(at, Severity::error, std::move(*wrong));
            failed_.insert(key->name);
        } else {
            loaded_.places.insert_or_assign(std::string(name), at);
        }
    }

    const Request& request_;
    Config config_;
    Loaded loaded_;
    std::vector<std::string> files_;
    std::set<std::string_view> failed_;
};

} // namespace

std::string Problem::text() const {
    std::string out = escape(place.file);
    if (place.line > 0) out += cat(':', place.line, ':', place.column);
    return cat(out, severity == Severity::error ? ": error: " : ": warning: ", message);
}

std::string Loaded::report() const {
    std::string out;
    for (const auto& problem : problems)
        out += problem.text() + "\n";
    return out;
}

Loaded load(const Request& request) {
    return Loading(request).run();
}

Config defaults() {
    Config config;
    for (const Key& key : keys()) {
        const auto wrong = assign_text(key, config, key.fallback);
        check(!wrong, "a default that its own key refuses");
    }
    return config;
}

} // namespace tambo::conf
