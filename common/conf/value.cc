// See value.h. One parser per type; the visitor picks by what the key's field is.
#include "common/conf/value.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <algorithm>

namespace tambo::conf {

namespace {

using Problem = std::optional<std::string>;

std::string_view wanted(Type type) {
    switch (type) {
    case Type::text:
        return "a string";
    case Type::path:
        return "an absolute path in quotes";
    case Type::boolean:
        return "true or false";
    case Type::integer:
        return "a whole number";
    case Type::duration:
        return "a duration such as \"30s\", \"5m\", \"2h\" or \"5d\"";
    case Type::size:
        return "a size such as \"500K\", \"50M\" or \"1G\"";
    case Type::paths:
        return "an absolute path or a list of them";
    case Type::endpoints:
        return "an address with port such as \"*:25\" or \"[::1]:25\", or a list";
    }
    return "another value";
}

std::string describe(const Raw& value) {
    struct Name {
        std::string operator()(const std::string& s) const {
            return cat("the string \"", escape(s, 60), '"');
        }
        std::string operator()(bool b) const { return b ? "true" : "false"; }
        std::string operator()(int64_t number) const { return cat("the number ", number); }
        std::string operator()(const std::vector<std::string>&) const { return "a list"; }
        std::string operator()(const OtherKind& other) const { return other.name; }
    };
    return std::visit(Name{}, value);
}

Problem mismatch(const Key& key, const Raw& value) {
    return cat(key.name, ": expected ", wanted(key.type), ", found ", describe(value));
}

std::string format_size(int64_t bytes) {
    constexpr std::string_view kUnits = "GMK";
    for (size_t i = 0; i < kUnits.size(); ++i) {
        const int64_t unit = int64_t{1} << (30 - 10 * i);
        if (bytes != 0 && bytes % unit == 0) return cat(bytes / unit, kUnits[i]);
    }
    return cat(bytes);
}

std::string format_number(const Key& key, int64_t number) {
    if (key.type == Type::duration) return format_duration(number);
    return key.type == Type::size ? format_size(number) : cat(number);
}

std::optional<int64_t> parse_number(const Key& key, std::string_view text) {
    if (key.type == Type::duration) return parse_duration_ms(text);
    const auto number = key.type == Type::size ? parse_size_bytes(text) : parse_uint(text);
    if (!number || *number > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(*number);
}

struct Assign {
    const Key& key;
    const Raw& value;

    Problem operator()(std::string* slot) const {
        const auto* text = std::get_if<std::string>(&value);
        if (!text) return mismatch(key, value);
        if (text->find('\0') != std::string::npos) return cat(key.name, ": contains a NUL byte");
        if (key.type == Type::path && !text->empty() && text->front() != '/') {
            return mismatch(key, value);
        }
        const auto choices = split(key.choices, '|');
        if (!key.choices.empty() && std::ranges::find(choices, *text) == choices.end()) {
            return cat(key.name, ": expected one of ", key.choices, ", found ", describe(value));
        }
        *slot = *text;
        return std::nullopt;
    }

    Problem operator()(bool* slot) const {
        const auto* flag = std::get_if<bool>(&value);
        if (!flag) return mismatch(key, value);
        *slot = *flag;
        return std::nullopt;
    }

    Problem operator()(int64_t* slot) const {
        std::optional<int64_t> number;
        if (const auto* text = std::get_if<std::string>(&value);
            text && key.type != Type::integer) {
            number = parse_number(key, *text);
        } else if (const auto* whole = std::get_if<int64_t>(&value); whole) {
            // Bare seconds that would overflow in milliseconds are far out of every range.
            if (*whole < 0 || *whole > INT64_MAX / 1000) return out_of_range(cat(*whole));
            number = key.type == Type::duration ? *whole * 1000 : *whole;
        }
        if (!number) return mismatch(key, value);
        if (*number < key.min || *number > key.max)
            return out_of_range(format_number(key, *number));
        *slot = *number;
        return std::nullopt;
    }

    Problem operator()(std::vector<std::string>* slot) const {
        std::vector<std::string> list;
        if (!take_list(list)) return mismatch(key, value);
        for (const auto& item : list) {
            if (item.empty() || item.front() != '/' || item.find('\0') != std::string::npos) {
                return mismatch(key, Raw(item));
            }
        }
        *slot = std::move(list);
        return std::nullopt;
    }

    Problem operator()(std::vector<Endpoint>* slot) const {
        std::vector<std::string> list;
        if (const auto* port = std::get_if<int64_t>(&value); port && key.default_port == 0) {
            list.push_back(cat(*port)); // smtp = 25
        } else if (!take_list(list)) {
            return mismatch(key, value);
        }
        std::vector<Endpoint> endpoints;
        for (const auto& item : list) {
            auto endpoint = parse_endpoint(item, key.default_port);
            if (!endpoint) return mismatch(key, Raw(item));
            endpoints.push_back(std::move(*endpoint));
        }
        *slot = std::move(endpoints);
        return std::nullopt;
    }

  private:
    bool take_list(std::vector<std::string>& list) const {
        if (const auto* one = std::get_if<std::string>(&value)) {
            if (!one->empty()) list.push_back(*one);
            return true;
        }
        const auto* many = std::get_if<std::vector<std::string>>(&value);
        if (many) list = *many;
        return many != nullptr;
    }

    Problem out_of_range(const std::string& shown) const {
        const bool open = key.max == INT64_MAX;
        return cat(key.name, ": ", shown, " is out of range (",
                   open ? cat("at least ", format_number(key, key.min))
                        : cat(format_number(key, key.min), " to ", format_number(key, key.max)),
                   ')');
    }
};

std::string format_list(const std::vector<std::string>& items) {
    std::string out = "[";
    for (const auto& item : items) {
        if (out.size() > 1) out += ", ";
        out += toml_string(item);
    }
    return out + "]";
}

struct Format {
    const Key& key;
    std::string operator()(const std::string* slot) const { return toml_string(*slot); }
    std::string operator()(const bool* slot) const { return *slot ? "true" : "false"; }
    std::string operator()(const int64_t* slot) const {
        const std::string text = format_number(key, *slot);
        return key.type == Type::integer ? text : toml_string(text);
    }
    std::string operator()(const std::vector<std::string>* slot) const {
        return format_list(*slot);
    }
    std::string operator()(const std::vector<Endpoint>* slot) const {
        std::vector<std::string> items;
        for (const auto& endpoint : *slot)
            items.push_back(format_endpoint(endpoint));
        return format_list(items);
    }
};

// The address in the form that the kernel prints, or nullopt if it is no literal.
std::optional<std::string> normal_address(const std::string& text, int family) {
    unsigned char bytes[sizeof(in6_addr)];
    char printed[INET6_ADDRSTRLEN];
    if (inet_pton(family, text.c_str(), bytes) != 1) return std::nullopt;
    if (!inet_ntop(family, bytes, printed, sizeof printed)) return std::nullopt;
    return std::string(printed);
}

struct HostPort {
    std::string_view host;
    std::optional<std::string_view> port;
};

// "[v6]:port", "[v6]", "host:port", "host", "v6" into its halves; nullopt if a bracket is off.
std::optional<HostPort> split_host_port(std::string_view text) {
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        const auto host = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        if (rest.empty()) return HostPort{host, std::nullopt};
        if (rest.front() != ':') return std::nullopt;
        return HostPort{host, rest.substr(1)};
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
        return HostPort{text, std::nullopt};
    }
    return HostPort{text.substr(0, colon), text.substr(colon + 1)};
}

} // namespace

std::optional<std::string> assign(const Key& key, Config& config, const Raw& value) {
    return std::visit(Assign{key, value}, key.slot(config));
}

std::optional<std::string> assign_text(const Key& key, Config& config, std::string_view text) {
    Raw value{std::string(text)};
    if (key.type == Type::boolean && (text == "true" || text == "false")) {
        value = text == "true";
    } else if (key.type == Type::integer) {
        if (const auto number = parse_number(key, text)) value = *number;
    } else if ((key.type == Type::paths || key.type == Type::endpoints) && !text.empty()) {
        std::vector<std::string> items;
        for (const auto piece : split(text, ','))
            items.emplace_back(trim(piece));
        value = std::move(items);
    }
    return assign(key, config, value);
}

std::optional<Endpoint> parse_endpoint(std::string_view text, int default_port) {
    auto parts = split_host_port(text);
    if (!parts) return std::nullopt;
    if (!parts->port && default_port == 0) {
        if (!std::ranges::all_of(parts->host, is_digit)) return std::nullopt;
        parts = HostPort{"*", parts->host}; // "25" alone
    }
    const bool v6 = parts->host.find(':') != std::string_view::npos;
    if (text.starts_with('[') != v6 && parts->port) return std::nullopt;
    Endpoint endpoint;
    if (parts->host != "*") {
        const auto normal = normal_address(std::string(parts->host), v6 ? AF_INET6 : AF_INET);
        if (!normal) return std::nullopt;
        endpoint.address = *normal;
    }
    const auto port =
        parts->port ? parse_uint(*parts->port, 65535) : static_cast<uint64_t>(default_port);
    if (!port) return std::nullopt;
    endpoint.port = static_cast<uint16_t>(*port);
    return endpoint;
}

std::string format_endpoint(const Endpoint& endpoint) {
    const bool v6 = endpoint.address.find(':') != std::string::npos;
    const std::string host = endpoint.address.empty() ? "*" : endpoint.address;
    return cat(v6 ? "[" : "", host, v6 ? "]:" : ":", endpoint.port);
}

std::string format_value(const Key& key, const Config& config) {
    Config copy = config; // slot() wants a mutable one; values are small
    return std::visit(Format{key}, key.slot(copy));
}

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (is_ctl(c)) {
            out.append("\\u00").append(to_hex(std::string_view(&c, 1)));
        } else {
            out.push_back(c);
        }
    }
    return out + "\"";
}

} // namespace tambo::conf
