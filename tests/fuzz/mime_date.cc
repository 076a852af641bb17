// Dates: what is read is a time that has a text which means the same.
#include "common/base/check.h"
#include "common/mime/date.h"

using namespace tambo;
using namespace tambo::mime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto date = parse_date({reinterpret_cast<const char*>(data), size});
    if (!date) return 0;
    check(date->zone_minutes > -1440 && date->zone_minutes < 1440, "a zone within a day");
    const int64_t local_ms = date->utc.ms + int64_t{date->zone_minutes} * 60'000;
    check(local_ms - date->sent_day().ms >= 0, "the day has begun");
    check(local_ms - date->sent_day().ms <= 86'400'000, "and is not over");
    const CivilTime civil = to_civil(date->utc);
    if (civil.year < 1000 || civil.year > 9999) return 0; // RFC 5322 has years of four digits
    const auto again = parse_date(format_rfc5322(date->utc));
    check(again && again->utc == date->utc, "the text means the same");
    return 0;
}
