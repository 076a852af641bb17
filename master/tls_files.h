// The certificates and private keys of the configuration in force, as copies. keyd has one half of
// each pair and the daemons that show certificates have the other: whoever starts must be given
// what the others have, also when the files have been replaced, or written over in place, and
// nobody has asked for a reload yet.
//
// The copies are sealed memory files. The kernel makes them: no byte of a key passes through
// master's own memory for it.
#pragma once

#include "common/base/unique_fd.h"
#include "common/conf/load.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::master {

class TlsFiles {
  public:
    TlsFiles() = default; // of a configuration without any
    // Copies all of tls.certificate and tls.key, 1 MiB of each at most. Throws std::system_error
    // naming the file.
    explicit TlsFiles(const conf::Config& config);

    // What request.check_certificate says about the first pair that is not well, with its path:
    // since conf::load() has looked at the files they may have been replaced. Throws
    // std::system_error.
    std::optional<std::string> problem(const conf::Request& request) const;

    // A descriptor of each copy in the order of the configuration. Throws std::system_error.
    std::vector<UniqueFd> certificates() const { return descriptors(certificates_); }
    std::vector<UniqueFd> keys() const { return descriptors(keys_); }

  private:
    struct Copy {
        std::string path;
        UniqueFd fd;
    };
    static std::vector<Copy> copies(const std::vector<std::string>& paths);
    static std::vector<UniqueFd> descriptors(const std::vector<Copy>& copies);

    std::vector<Copy> certificates_, keys_;
};

} // namespace tambo::master
