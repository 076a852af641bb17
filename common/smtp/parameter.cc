#include "common/smtp/parameter.h"

#include "common/base/text.h"

namespace tambo::smtp {

namespace {

bool is_keyword_char(char c) {
    return is_alnum(c) || c == '-';
}

// %d33-60 / %d62-126 / UTF8-non-ascii
bool is_value_char(char c) {
    return !is_ctl(c) && c != ' ' && c != '=';
}

} // namespace

std::optional<Parameter> take_parameter(Cursor& in) {
    if (in.take_while(is_wsp).empty()) return std::nullopt;
    Parameter parameter;
    parameter.keyword = in.take_while(is_keyword_char);
    if (parameter.keyword.empty() || parameter.keyword.front() == '-') return std::nullopt;
    if (in.accept('=')) {
        parameter.has_value = true;
        parameter.value = in.take_while(is_value_char);
        if (parameter.value.empty() || !is_utf8(parameter.value)) return std::nullopt;
    }
    if (!in.empty() && !is_wsp(in.peek())) return std::nullopt;
    return parameter;
}

} // namespace tambo::smtp
