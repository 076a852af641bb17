// Dates of header fields: RFC 5322 3.3 with the obsolete forms of 4.3 and what common senders make
// of it (no zone, no seconds, hyphens, asctime).
#pragma once

#include "common/base/time.h"

#include <optional>
#include <string_view>

namespace tambo::mime {

struct DateTime {
    UtcTime utc;
    int zone_minutes = 0;    // east of UTC, as written
    bool zone_known = false; // false: none, "-0000", or a name that means nothing (RFC 5322 3.3)

    // Midnight UTC of the day that the sender wrote: what SENTBEFORE, SENTON and SENTSINCE compare
    // (RFC 9051 6.4.4, "disregarding time and timezone").
    UtcTime sent_day() const;
};

// raw: the field's value, folds and comments included. nullopt if there is no date in it.
std::optional<DateTime> parse_date(std::string_view raw);

} // namespace tambo::mime
