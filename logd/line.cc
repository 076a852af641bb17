#include "logd/line.h"

#include "common/base/cursor.h"
#include "common/base/text.h"

#include <algorithm>
#include <array>

namespace tambo::logd {

namespace {

constexpr std::array<std::string_view, 6> kLevels{"debug",   "info",  "notice",
                                                  "warning", "error", "critical"};
constexpr size_t kWarning = 3;

// Names come from our own sources, but a hijacked daemon may send anything.
std::string word(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 128)) {
        const bool plain = is_alnum(c) || c == '.' || c == '_' || c == '-' || c == ':';
        out.push_back(plain ? c : '?');
    }
    return out.empty() ? "-" : out;
}

bool is_word(char c) {
    return c != ' ' && c != '=' && c != '"';
}

// The client's address comes first and bare, before anything that a client can choose: what
// fail2ban looks for (etc/fail2ban).
constexpr std::string_view kAddress = "ip";

bool is_address(std::string_view text) {
    return !text.empty() && text.size() <= 45 &&
           std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '.' || c == ':'; });
}

// key="value" or key=value
bool take_field(Cursor& in, std::string& key, std::string& value) {
    key = in.take_while(is_word);
    if (key.empty() || !in.accept('=')) return false;
    if (!in.accept('"')) {
        value = in.take_while(is_word);
        return true;
    }
    value = in.take_while([](char c) { return c != '"'; });
    return in.accept('"');
}

} // namespace

std::string format_line(const log::Record& r) {
    std::string line = cat(format_rfc3339(r.time), ' ', word(r.daemon), ' ', word(r.event));
    for (const auto& [key, value] : r.fields) {
        if (key == kAddress && is_address(value)) line += cat(" ip=", value);
    }
    const auto level = static_cast<size_t>(r.level);
    if (level >= kWarning) line += cat(" level=", kLevels[level]);
    if (!r.sid.empty()) line += cat(" sid=", word(r.sid));
    if (!r.qid.empty()) line += cat(" qid=", word(r.qid));
    if (!r.rcpt.empty()) line += cat(" rcpt=\"", escape(r.rcpt, 1024), '"');
    for (const auto& [key, value] : r.fields) {
        if (key == kAddress && is_address(value)) continue;
        line += cat(' ', word(key), "=\"", escape(value, 1024), '"');
    }
    return line;
}

std::optional<log::Record> parse_line(std::string_view line) {
    Cursor in(line);
    log::Record r;
    const auto time = parse_rfc3339(in.take_while(is_word));
    if (!time || !in.accept(' ')) return std::nullopt;
    r.time = *time;
    r.daemon = in.take_while(is_word);
    if (r.daemon.empty() || !in.accept(' ')) return std::nullopt;
    r.event = in.take_while(is_word);
    if (r.event.empty()) return std::nullopt;
    while (!in.empty()) {
        std::string key, value;
        if (!in.accept(' ') || !take_field(in, key, value)) return std::nullopt;
        if (key == "sid") {
            r.sid = value;
        } else if (key == "qid") {
            r.qid = value;
        } else if (key == "rcpt") {
            r.rcpt = value;
        } else if (key == "level") {
            for (size_t i = 0; i < kLevels.size(); ++i) {
                if (kLevels[i] == value) r.level = static_cast<log::Level>(i);
            }
        } else {
            r.fields.emplace_back(std::move(key), std::move(value));
        }
    }
    return r;
}

} // namespace tambo::logd
