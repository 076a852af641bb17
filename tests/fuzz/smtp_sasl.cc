// SASL PLAIN and LOGIN messages; the first byte cuts the rest in messages.
#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/sasl.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::smtp;

namespace {

void check_credentials(const Credentials& c) {
    for (const auto& name : {c.authorization, c.authentication}) {
        check(name.size() <= limits::sasl_name_bytes && is_utf8(name), "bad name");
        check(std::none_of(name.begin(), name.end(), is_ctl), "control character in a name");
    }
    check(!c.authentication.empty() && !c.password.empty(), "nobody, or no password");
    check(c.password.find('\0') == std::string::npos, "NUL in a password");
}

void run(SaslExchange& exchange, SaslExchange::State state, std::string_view rest, size_t step) {
    while (state == SaslExchange::State::challenge) {
        state = exchange.answer(rest.substr(0, step));
        rest.remove_prefix(std::min(step, rest.size()));
    }
    if (state == SaslExchange::State::complete) check_credentials(exchange.credentials());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const size_t step = data[0];
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    for (const auto mechanism : {Mechanism::plain, Mechanism::login}) {
        SaslExchange initial(mechanism);
        run(initial, initial.start(input.substr(0, step)),
            input.substr(std::min(step, input.size())), step);
        SaslExchange plain(mechanism);
        run(plain, plain.start(std::nullopt), input, step);
    }
    return 0;
}
