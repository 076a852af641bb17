#include "smtpd/forged_results.h"

#include "common/base/text.h"

namespace tambo::smtpd {

namespace {

constexpr std::string_view kName = "Authentication-Results";
// Comments may stand before the authserv-id; who writes more of them than this hides something.
constexpr size_t kHeldMax = 2048;

bool is_line_end(char c) {
    return c == '\r' || c == '\n';
}

} // namespace

void ForgedResults::feed(std::string_view in, std::string& out) {
    for (size_t i = 0; i < in.size(); ++i) {
        if (body_) {
            out.append(in.substr(i));
            return;
        }
        if (line_start_) start_line(in[i], out);
        line_start_ = in[i] == '\n';
        take(in[i], out);
    }
}

void ForgedResults::start_line(char c, std::string& out) {
    if (is_wsp(c) && field_ != Field::none) return; // folded: the field goes on
    if (field_ == Field::id) judge(out);
    if (field_ == Field::name) release(out);
    if (is_line_end(c)) {
        body_ = true;
        return;
    }
    field_ = Field::name;
    held_.clear();
    id_.clear();
    comments_ = 0;
    quoted_ = escaped_ = false;
}

void ForgedResults::take(char c, std::string& out) {
    switch (body_ ? Field::passing : field_) {
    case Field::none:
    case Field::passing:
        out.push_back(c);
        return;
    case Field::dropping:
        return;
    case Field::name: {
        held_.push_back(c);
        const bool in_name = held_.size() <= kName.size();
        const bool fits = in_name ? istarts_with(kName, held_) : is_wsp(c) || c == ':';
        if (!fits) {
            release(out);
        } else if (c == ':') {
            field_ = Field::id;
        } else if (held_.size() > kHeldMax) {
            release(out);
        }
        return;
    }
    case Field::id:
        held_.push_back(c);
        if (id_is_complete(c)) {
            judge(out);
        } else if (held_.size() > kHeldMax) {
            id_ = hostname_;
            judge(out);
        }
        return;
    }
}

// RFC 8601 2.2: [CFWS] authserv-id [CFWS authres-version] ( no-result / 1*resinfo )
bool ForgedResults::id_is_complete(char c) {
    if (escaped_) {
        escaped_ = false;
        if (comments_ == 0) id_.push_back(c);
        return false;
    }
    if (c == '\\' && (comments_ > 0 || quoted_)) {
        escaped_ = true;
        return false;
    }
    if (comments_ > 0) {
        comments_ += (c == '(') - (c == ')');
        return false;
    }
    if (quoted_) {
        if (c == '"') return true;
        id_.push_back(c);
        return false;
    }
    if (c == '(') {
        ++comments_;
        return !id_.empty();
    }
    if (is_wsp(c) || is_line_end(c)) return !id_.empty();
    if (c == ';') return true;
    quoted_ = c == '"' && id_.empty();
    if (!quoted_) id_.push_back(c);
    return false;
}

void ForgedResults::judge(std::string& out) {
    if (!iequals(id_, hostname_)) {
        release(out);
        return;
    }
    held_.clear();
    field_ = Field::dropping;
    ++removed_;
}

void ForgedResults::release(std::string& out) {
    out.append(held_);
    held_.clear();
    field_ = Field::passing;
}

void ForgedResults::finish(std::string& out) {
    if (field_ == Field::id) judge(out);
    if (field_ == Field::name) release(out);
}

} // namespace tambo::smtpd
