// The journal's native protocol: one datagram of fields for each event.
#pragma once

#include "common/sys/log.h"

#include <string>

namespace tambo::logd {

// MESSAGE is the line; PRIORITY, SYSLOG_IDENTIFIER=tambo and TAMBO_{DAEMON,EVENT,SID,QID,RCPT}
// beside it. Never blocks.
std::string journal_datagram(const log::Record& record, std::string_view line);

} // namespace tambo::logd
