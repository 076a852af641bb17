#include "common/smtp/client_reply.h"

#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/reply.h"

#include <algorithm>

namespace tambo::smtp {

namespace {

// Printable text: controls go, bytes that are not UTF-8 become '?'. A cut may split a character.
std::string sanitised(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (!is_ctl(c)) out.push_back(c);
    }
    if (!is_utf8(out)) std::replace_if(out.begin(), out.end(), is_8bit, '?');
    return out;
}

// RFC 5321 4.2 Reply-code; 0 if line does not begin with one and its separator.
int reply_code(std::string_view line) {
    if (line.size() < 3 || line[0] < '2' || line[0] > '5') return 0;
    if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return 0;
    return static_cast<int>(parse_uint(line.substr(0, 3)).value_or(0));
}

} // namespace

std::string ServerReply::text() const {
    std::string out;
    for (const auto& line : lines) {
        if (line.empty()) continue;
        if (!out.empty()) out.push_back(' ');
        out.append(line);
        if (out.size() > kTextBytesMax) break;
    }
    size_t end = std::min(out.size(), kTextBytesMax);
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    while (end > 0 && end < out.size() && continues(out[end]))
        --end;
    out.resize(end);
    return out;
}

size_t ReplyParser::feed(std::string_view in) {
    size_t at = 0;
    while (at < in.size() && state_ == State::wanting) {
        if (after_cr_) {
            after_cr_ = false;
            if (in[at] == '\n') {
                ++at;
                ++bytes_;
                end_line();
                continue;
            }
            add_text("\r");
        }
        const size_t cr = std::min(in.find('\r', at), in.size());
        add_text(in.substr(at, cr - at));
        after_cr_ = cr < in.size();
        at = cr + after_cr_;
    }
    return at;
}

void ReplyParser::add_text(std::string_view text) {
    bytes_ += text.size();
    line_.append(text.substr(0, limits::relay_reply_line_bytes - line_.size()));
    if (bytes_ <= kBytesMax) return;
    const int code = reply_.code != 0 ? reply_.code : reply_code(line_);
    if (code == 0) {
        state_ = State::malformed;
        return;
    }
    if (reply_.lines.empty()) end_line();
    state_ = State::overlong;
}

void ReplyParser::end_line() {
    const int code = reply_code(line_);
    if (code == 0 || (reply_.code != 0 && reply_.code != code)) {
        state_ = State::malformed;
        return;
    }
    reply_.code = code;
    const bool last = line_.size() == 3 || line_[3] == ' ';
    std::string_view text = line_;
    text.remove_prefix(std::min<size_t>(4, text.size()));
    const auto word = text.substr(0, text.find(' '));
    const bool has_enhanced = is_enhanced_code(word) && word[0] == line_[0];
    if (has_enhanced && reply_.lines.empty()) reply_.enhanced = word;
    if (has_enhanced && word == reply_.enhanced) {
        text.remove_prefix(std::min(text.size(), word.size() + 1));
    }
    reply_.lines.push_back(sanitised(text));
    line_.clear();
    if (last) {
        state_ = State::complete;
    } else if (reply_.lines.size() == limits::relay_reply_lines) {
        state_ = State::overlong;
    }
}

ServerOffer parse_offer(const ServerReply& ehlo) {
    ServerOffer offer;
    for (size_t i = 1; i < ehlo.lines.size(); ++i) { // the first line greets
        const auto words = split(ehlo.lines[i], ' ');
        const ExtensionRow* row = find_extension(words[0]);
        if (row == nullptr) {
            // "AUTH=LOGIN" of servers from before RFC 4954 is no offer.
            continue;
        }
        offer.extensions.add(row->extension);
        if (row->extension == Extension::size && words.size() > 1) {
            const auto size = parse_uint(words[1]);
            if (size && *size > 0) offer.size_max = *size;
        }
        if (row->extension != Extension::auth) continue;
        for (size_t k = 1; k < words.size(); ++k) {
            if (!words[k].empty()) offer.mechanisms.push_back(to_upper(words[k]));
        }
    }
    return offer;
}

} // namespace tambo::smtp
