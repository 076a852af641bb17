// The hand-written parsers of configuration values: endpoints and smarthosts. What is accepted must
// print and parse to the same again.
#include "common/base/check.h"
#include "common/conf/validate.h"
#include "common/conf/value.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace tambo;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const int port : {0, 53}) {
        const auto endpoint = conf::parse_endpoint(text, port);
        if (!endpoint) continue;
        const auto again = conf::parse_endpoint(conf::format_endpoint(*endpoint), 0);
        check(again == endpoint, "an endpoint that does not survive printing");
    }
    const auto smarthost = conf::parse_smarthost(text);
    if (smarthost) check(smarthost->port != 0, "a smarthost without port");
    return 0;
}
