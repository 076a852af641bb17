// Certificates in master's hands: warnings about those of the configuration, and a self-signed one
// where it names none. Whether a certificate can be used at all is conf::load()'s question.
#pragma once

#include "common/base/time.h"
#include "common/conf/config.h"
#include "master/directories.h"
#include "master/users.h"

#include <string>
#include <vector>

namespace tambo::master {

// What clients may refuse, one sentence each: warnings, because a suite must still start after a
// reboot with an expired certificate.
std::vector<std::string> certificate_warnings(const conf::Config& config, UtcTime now);

// Without tls.certificate: keys/self-signed.pem and keys/self-signed.key in config, made if they
// are not there, do not fit each other or name another host. Throws std::system_error.
void provide_certificate(conf::Config& config,
                         const Directories& directories,
                         const Users& users,
                         UtcTime now);

} // namespace tambo::master
