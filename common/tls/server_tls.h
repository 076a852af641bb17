// TLS of a daemon that accepts connections: certificates come from master, signatures from keyd,
// and both are replaced while the daemon serves. Whatever is wrong with a new list of certificates,
// the daemon goes on with the one that it has.
#pragma once

#include "common/base/unique_fd.h"
#include "common/crypto/datagram_signer.h"
#include "common/crypto/tls.h"
#include "common/ipc/boot.h"
#include "common/ipc/control.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo {

class ServerTls {
  public:
    // service and alpn as in TlsServerConfig.
    ServerTls(std::string service, std::vector<std::string> alpn);

    // Takes all "certificate:N" of the start and applies them; control brings keyd's socket, now
    // and after each restart of keyd.
    void attach(ipc::Boot& boot, ipc::Control& control);

    // For Control::on_file: true if name is a certificate's. Takes effect with apply().
    bool take_file(std::string_view name, const UniqueFd& file);
    // For Control::on_configure: the certificates that came since the last time are the new list
    // (ipc::OpenFile). None came, or one of them is of no use (event tls.refused): no change.
    void apply();

    // What each new connection is to use. Absent as long as there has been no usable list: the
    // daemon announces no TLS then, and ports that begin with TLS close at once.
    const std::optional<TlsContext>& context() const { return context_; }

    // Keyd's socket, for tests; attach() sees to it otherwise.
    void connect_keyd(UniqueFd socket);

  private:
    std::string service_;
    std::vector<std::string> alpn_;
    std::shared_ptr<DatagramSigner> signer_;
    std::vector<std::string> chains_; // PEM, since the last apply()
    std::optional<TlsContext> context_;
};

} // namespace tambo
