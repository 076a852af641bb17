// What reaches logd from a hijacked daemon, and what is read back from the file: a datagram becomes
// one line without control characters, and the line reads back as the same event.
#include "common/base/check.h"
#include "common/base/text.h"
#include "logd/journal.h"
#include "logd/line.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace tambo;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    static_cast<void>(logd::parse_line(input));
    auto record = log::decode(input);
    if (!record) return 0;
    record->time.ms = 1'795'497'616'123; // years beyond 9999 have no text form that reads back
    const std::string line = logd::format_line(*record);
    check(std::ranges::none_of(line, is_ctl), "a control character in a log line");
    const auto back = logd::parse_line(line);
    check(back.has_value(), "a line that does not read back");
    check(back->daemon.size() <= 128 && back->event.size() <= 128, "a name without bound");
    const std::string datagram = logd::journal_datagram(*record, line);
    for (const auto field : split(datagram, '\n')) {
        const auto name = split_once(field, '=').first;
        check(field.empty() || name == "MESSAGE" || name == "PRIORITY" ||
                  name == "SYSLOG_IDENTIFIER" || name.starts_with("TAMBO_"),
              "a forged journal field");
    }
    return 0;
}
