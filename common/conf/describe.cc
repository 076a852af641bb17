// See describe.h.
#include "common/conf/describe.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/conf/value.h"

#include <functional>

namespace tambo::conf {

namespace {

std::string_view type_name(Type type) {
    switch (type) {
    case Type::text:
        return "string";
    case Type::path:
        return "path";
    case Type::boolean:
        return "boolean";
    case Type::integer:
        return "number";
    case Type::duration:
        return "duration";
    case Type::size:
        return "size";
    case Type::paths:
        return "list of paths";
    case Type::endpoints:
        return "list of addresses";
    }
    return "";
}

// "range 1 to 64", "one of a, b"; empty if there is nothing to say.
std::string constraint(const Key& key) {
    if (!key.choices.empty()) {
        std::string out = "one of ";
        for (const auto choice : split(key.choices, '|')) {
            if (out.size() > 7) out += ", ";
            out += choice;
        }
        return out;
    }
    if (key.max == 0) return "";
    const auto shown = [&](int64_t number) {
        Config config = defaults();
        *std::get<int64_t*>(key.slot(config)) = number;
        std::string text = format_value(key, config);
        std::erase(text, '"');
        return text;
    };
    if (key.max == INT64_MAX) return cat("at least ", shown(key.min));
    return cat("range ", shown(key.min), " to ", shown(key.max));
}

std::string apply_text(const Key& key) {
    return key.apply == Apply::reload ? "reload" : "restart";
}

// text broken into lines of at most 76 characters, each with prefix.
std::string wrapped(std::string_view text, std::string_view prefix) {
    constexpr size_t kWidth = 76;
    std::string out, line;
    for (const auto word : split(text, ' ')) {
        if (!line.empty() && line.size() + 1 + word.size() > kWidth) {
            out += cat(prefix, line, '\n');
            line.clear();
        }
        if (!line.empty()) line.push_back(' ');
        line += word;
    }
    return out + cat(prefix, line, '\n');
}

std::pair<std::string_view, std::string_view> section_and_leaf(std::string_view name) {
    const auto dot = name.find('.');
    if (dot == std::string_view::npos) return {"", name};
    return {name.substr(0, dot), name.substr(dot + 1)};
}

// The keys grouped under [section] headings; line(key) gives what stands for each.
std::string as_toml(const std::function<std::string(const Key&)>& line) {
    std::string out;
    std::string_view section;
    for (const Key& key : keys()) {
        const auto here = section_and_leaf(key.name).first;
        if (here != section) {
            out += cat("\n[", here, "]\n");
            section = here;
        }
        out += line(key);
    }
    return out;
}

// Text that roff would read as a request or an escape, made harmless.
std::string mdoc_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else
            out.push_back(c);
    }
    if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
    return out;
}

// One sentence a line, as mdoc wants it.
std::string mdoc_sentences(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto stop = text.find(". ");
        const auto sentence = text.substr(0, stop == std::string_view::npos ? stop : stop + 1);
        out += wrapped(mdoc_text(sentence), "");
        text.remove_prefix(stop == std::string_view::npos ? text.size() : stop + 2);
    }
    return out;
}

std::string mdoc_value(const Key& key, const Config& config) {
    if (key.name == "hostname") return "no default";
    std::string value = mdoc_text(format_value(key, config));
    std::string quoted;
    for (const char c : value) {
        if (c == '"')
            quoted += "\\(dq";
        else
            quoted.push_back(c);
    }
    return "default " + quoted;
}

} // namespace

std::string show_defaults() {
    const Config config = defaults();
    return as_toml([&](const Key& key) {
        const auto name = section_and_leaf(key.name).second;
        std::string out = "\n" + wrapped(key.help, "# ");
        const std::string limits = constraint(key);
        out += cat("# ", type_name(key.type), limits.empty() ? "" : ", ", limits,
                   ", takes effect at ", apply_text(key), "\n");
        return cat(out, key.name == "hostname" ? "# " : "", name, " = ",
                   key.name == "hostname" ? "\"mail.example.org\"" : format_value(key, config),
                   '\n');
    });
}

std::string show(const Loaded& loaded, bool sources) {
    check(loaded.config.has_value(), "show() of a configuration with errors");
    return as_toml([&](const Key& key) {
        std::string out =
            cat(section_and_leaf(key.name).second, " = ", format_value(key, *loaded.config));
        if (!sources) return out + "\n";
        const auto found = loaded.places.find(key.name);
        if (found == loaded.places.end()) return out + "  # default\n";
        const Place& place = found->second;
        out += cat("  # ", escape(place.file));
        if (place.line > 0) out += cat(':', place.line);
        return out + "\n";
    });
}

std::string explain(std::string_view name) {
    const Key* key = find_key(name);
    if (!key) return "";
    const std::string limits = constraint(*key);
    return cat(wrapped(key->help, ""), '\n', "type     ", type_name(key->type), '\n',
               limits.empty() ? "" : cat("allowed  ", limits, '\n'), "default  ",
               key->name == "hostname" ? "none" : format_value(*key, defaults()), '\n',
               "changes  take effect at ", apply_text(*key), '\n');
}

std::string keys_mdoc() {
    const Config config = defaults();
    std::string out, section = "?";
    for (const Key& key : keys()) {
        const std::string here(section_and_leaf(key.name).first);
        if (here != section) {
            if (section != "?") out += ".El\n";
            out += here.empty() ? ".Ss The server\n" : cat(".Ss Section ", here, "\n");
            out += ".Bl -tag -width Ds\n";
            section = here;
        }
        out += cat(".It Ic ", key.name, '\n', mdoc_sentences(key.help));
        const std::string limits = constraint(key);
        out += cat(".Pq ", type_name(key.type), ", ", mdoc_value(key, config),
                   limits.empty() ? "" : ", ", limits,
                   key.apply == Apply::restart ? ", takes effect at restart" : "", '\n');
    }
    return out + ".El\n";
}

} // namespace tambo::conf
