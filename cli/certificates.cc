// tambo certificate: what a client should see when it connects, so that somebody can compare.
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"

#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "common/sys/file.h"

#include <sysexits.h>
#include <unistd.h>

#include <system_error>

namespace tambo::cli {

namespace {

constexpr size_t kPemBytesMax = 1u << 20;

// As mail programs and openssl(1) write it: AB:CD:...
std::string with_colons(std::string_view hex) {
    std::string text;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
        text += cat(text.empty() ? "" : ":", to_upper(hex.substr(i, 2)));
    }
    return text;
}

std::string names_of(const Certificate& certificate) {
    std::string names;
    for (const auto& name : certificate.dns_names)
        names += cat(names.empty() ? "" : " ", name);
    for (const auto& address : certificate.ip_addresses)
        names += cat(names.empty() ? "" : " ", address);
    return names;
}

std::vector<std::string> row_of(const std::string& path) {
    const auto chain = parse_certificate_chain(read_file(path, kPemBytesMax));
    if (!chain.ok() || chain->empty()) {
        throw Failure{EX_DATAERR, cat(path, " is not a certificate")};
    }
    const Certificate& leaf = chain->front();
    const bool self_signed = leaf.subject == leaf.issuer;
    return {path, names_of(leaf), self_signed ? "itself" : leaf.issuer,
            format_rfc3339(leaf.not_after), with_colons(leaf.fingerprint)};
}

int print_certificates(Context& context) {
    const conf::Config& config = context.config();
    std::vector<std::string> paths = config.tls.certificate;
    if (paths.empty()) {
        paths = {config.directory + "/keys/self-signed.pem"};
        if (::access(paths[0].c_str(), F_OK) != 0 && errno == ENOENT) {
            throw Failure{EX_UNAVAILABLE, "there is no certificate yet: the first start makes one"};
        }
    }
    ipc::AdminAnswer answer;
    answer.columns = {"file", "names", "issuer", "expires", "sha256"};
    try {
        for (const auto& path : paths)
            answer.rows.push_back(row_of(path));
    } catch (const std::system_error& error) {
        throw Failure{EX_NOPERM, error.what()};
    }
    print_answer(answer, context.format);
    return 0;
}

} // namespace

void add_certificate_command(CLI::App& app, Context& context, Action& action) {
    CLI::App* command =
        app.add_subcommand("certificate", "what mail programs are shown, and its fingerprint");
    command->callback([&] { action = [&context] { return print_certificates(context); }; });
}

} // namespace tambo::cli
