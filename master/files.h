// The files and directories that daemons get as descriptors. They are opened anew for every start,
// but for certificates and keys, which have to fit each other (tls_files.h).
#pragma once

#include "common/base/unique_fd.h"
#include "common/conf/config.h"
#include "master/directories.h"
#include "master/tls_files.h"
#include "master/wiring.h"

#include <string>
#include <string_view>
#include <vector>

namespace tambo::master {

struct NamedFile {
    std::string name; // as in ipc::OpenFile
    UniqueFd fd;
};

// Words of the wiring table: "spool", "mail", "accounts", "root" (an empty directory) and
// "directory" (logd's, named by log.target) are directories; "aliases", "passwd", "resolv.conf" and
// "ca-bundle" files that may be missing, which the daemon sees as an empty file; "key:*" and
// "certificate:*" all of tls, numbered from 1. Throws std::system_error naming a file that must be
// there and is not.
std::vector<NamedFile> open_files(const Service& service,
                                  const conf::Config& config,
                                  const TlsFiles& tls,
                                  const Directories& directories);
// One of the words that name a single file.
NamedFile
open_file(std::string_view word, const conf::Config& config, const Directories& directories);

// The path behind "aliases", "passwd", "resolv.conf" and "ca-bundle"; "" for other words.
std::string path_of(std::string_view word, const conf::Config& config);

// The first line of relay.smarthost_password_file, "" without one. Throws std::system_error.
std::string read_smarthost_password(const conf::Config& config);

} // namespace tambo::master
