// Certificates in master's hands: judging what the configuration names, and making a self-signed
// one where it names none.
#pragma once

#include "common/base/time.h"
#include "common/conf/config.h"
#include "master/directories.h"
#include "master/users.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::master {

// For conf::Request: what makes the pair useless, whatever the date.
std::optional<std::string> certificate_problem(std::string_view chain_pem,
                                               std::string_view key_pem);

// An expired certificate is a warning, not an error: a suite must still start after a reboot.
// One sentence for each such file.
std::vector<std::string> certificate_dates(const conf::Config& config, UtcTime now);

// Without tls.certificate: keys/self-signed.pem and keys/self-signed.key in config, made if they
// are not there or name another host. Throws std::system_error.
void provide_certificate(conf::Config& config,
                         const Directories& directories,
                         const Users& users,
                         UtcTime now);

} // namespace tambo::master
