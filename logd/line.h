// One event as one line of text, and back. The form of the log file, made for grep and fail2ban:
//
//   2026-11-24T05:20:16.123Z mx.0 smtp.refused sid=... qid=... rcpt="..." ip="192.0.2.1" helo="x"
//
// Values are escaped (text.h): no quote, control character or line end of a peer survives.
#pragma once

#include "common/sys/log.h"

#include <optional>
#include <string>
#include <string_view>

namespace tambo::logd {

// Without line end. The level stands behind the event's name from warning on.
std::string format_line(const log::Record& record);
// What format_line made, values still escaped; nullopt for anything else.
std::optional<log::Record> parse_line(std::string_view line);

} // namespace tambo::logd
