// SMTP command lines: every argument parser, with and without the extensions that are not
// announced.
#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/command.h"
#include "common/smtp/xtext.h"

using namespace tambo;
using namespace tambo::smtp;

namespace {

void check_path(const Path& path) {
    for (const char c : path.text())
        check(!is_ctl(c), "a control character in a path");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const auto command = split_command(line);
    auto all = announced({true, true, true});
    all.add(Extension::dsn);
    for (const auto set : {all, announced({true, false, false})}) {
        const auto mail = parse_mail(command.arguments, set);
        if (mail) check_path(mail->reverse_path);
        if (mail && !mail->smtputf8) check(is_ascii(mail->reverse_path.text()), "8-bit sender");
        const auto rcpt = parse_rcpt(command.arguments, set, false);
        if (rcpt) check_path(rcpt->forward_path);
        if (rcpt) check(is_ascii(rcpt->forward_path.text()), "8-bit recipient");
    }
    const auto hello = parse_hello(command.arguments);
    if (hello) {
        check(hello->text.size() <= limits::smtp_domain_bytes, "long name");
        for (const char c : hello->text)
            check(c > ' ' && c < 0x7f, "unprintable name");
    }
    static_cast<void>(parse_auth(command.arguments));
    const auto decoded = xtext_decode(line);
    if (decoded) check(xtext_decode(xtext_encode(*decoded)) == decoded, "xtext round trip");
    return 0;
}
