// See data.h. Whole lines are found with memchr and copied in runs; single bytes are looked at only
// where a line begins or ends.
#include "common/smtp/data.h"

#include "common/base/check.h"
#include "common/base/text.h"

#include <algorithm>

namespace tambo::smtp {

size_t DataDecoder::feed(std::string_view in, std::string& out) {
    const size_t before = out.size();
    size_t at = 0;
    while (at < in.size() && state_ != State::ended) {
        at = state_ == State::text ? take_lines(in, at, out) : take_edge(in, at, out);
    }
    const auto taken = in.substr(0, at);
    if (taken.find('\0') != std::string_view::npos) flaws_ |= nul;
    if (!has_8bit_) has_8bit_ = !is_ascii(taken);
    bytes_ += out.size() - before;
    return at;
}

// From within a line through all lines that do not begin with a dot, in one run.
size_t DataDecoder::take_lines(std::string_view in, size_t at, std::string& out) {
    const size_t start = at;
    for (;;) {
        const size_t cr = std::min(in.find('\r', at), in.size());
        if (in.substr(at, cr - at).find('\n') != std::string_view::npos) flaws_ |= bare_lf;
        if (cr == in.size()) {
            at = cr;
            break;
        }
        const bool line_end = cr + 1 < in.size() && in[cr + 1] == '\n';
        if (!line_end) {
            at = cr + 1;
            state_ = State::cr;
            break;
        }
        ++lines_;
        at = cr + 2;
        if (at < in.size() && in[at] != '.') continue;
        state_ = State::line_start;
        break;
    }
    out.append(in.substr(start, at - start));
    return at;
}

size_t DataDecoder::take_edge(std::string_view in, size_t at, std::string& out) {
    const char c = in[at];
    switch (state_) {
    case State::line_start:
        state_ = c == '.' ? State::dot : State::text;
        return c == '.' ? at + 1 : at;
    case State::dot: // RFC 5321 4.5.2: the first of more characters on the line goes
        state_ = c == '\r' ? State::dot_cr : State::text;
        return c == '\r' ? at + 1 : at;
    case State::dot_cr:
        if (c == '\n') {
            state_ = State::ended;
            return at + 1;
        }
        out.push_back('\r');
        state_ = State::cr;
        return at;
    case State::cr:
        if (c == '\n') {
            out.push_back(c);
            ++lines_;
            state_ = State::line_start;
            return at + 1;
        }
        flaws_ |= bare_cr;
        state_ = State::text;
        return at;
    case State::text:
    case State::ended:
        break;
    }
    check(false, "not an edge");
    return at;
}

bool DataEncoder::feed(std::string_view in, std::string& out) {
    if (in.find('\0') != std::string_view::npos) return false;
    size_t at = 0;
    while (at < in.size()) {
        if (after_cr_) {
            if (in[at] != '\n') return false;
            out.push_back('\n');
            after_cr_ = false;
            line_start_ = true;
            ++at;
            continue;
        }
        if (line_start_ && in[at] == '.') out.push_back('.');
        line_start_ = false;
        const size_t cr = std::min(in.find('\r', at), in.size());
        const auto line = in.substr(at, cr - at);
        if (line.find('\n') != std::string_view::npos) return false;
        out.append(line);
        at = cr;
        if (at == in.size()) return true;
        out.push_back('\r');
        after_cr_ = true;
        ++at;
    }
    return true;
}

bool DataEncoder::finish(std::string& out) {
    if (after_cr_) return false;
    out.append(line_start_ ? ".\r\n" : "\r\n.\r\n");
    return true;
}

} // namespace tambo::smtp
