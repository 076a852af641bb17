#include "logd/journal.h"

#include "common/base/text.h"

namespace tambo::logd {

namespace {

int priority_of(log::Level level) {
    switch (level) {
    case log::Level::debug:
        return 7;
    case log::Level::info:
        return 6;
    case log::Level::notice:
        return 5;
    case log::Level::warning:
        return 4;
    case log::Level::error:
        return 3;
    case log::Level::critical:
        return 2;
    }
    return 6;
}

} // namespace

std::string journal_datagram(const log::Record& r, std::string_view line) {
    std::string out =
        cat("MESSAGE=", line, "\nPRIORITY=", priority_of(r.level), "\nSYSLOG_IDENTIFIER=tambo\n");
    const auto add = [&out](const char* name, const std::string& value) {
        if (!value.empty()) out += cat(name, '=', escape(value, 1024), '\n');
    };
    add("TAMBO_DAEMON", r.daemon);
    add("TAMBO_EVENT", r.event);
    add("TAMBO_SID", r.sid);
    add("TAMBO_QID", r.qid);
    add("TAMBO_RCPT", r.rcpt);
    return out;
}

} // namespace tambo::logd
