// TLS of a daemon that accepts connections: certificates come from master, signatures from keyd,
// and both may be replaced while the daemon serves.
#pragma once

#include "common/base/unique_fd.h"
#include "common/crypto/datagram_signer.h"
#include "common/crypto/tls.h"
#include "common/event/loop.h"
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
    ServerTls(Loop& loop, std::string service, std::vector<std::string> alpn);

    // Takes all "certificate:N" files of the start, makes the first context of them, and has keyd's
    // socket brought by control, now and after each restart of keyd.
    void attach(ipc::Boot& boot, ipc::Control& control);

    // For Control::on_file: true if name is a certificate. "certificate:1" begins a new list, which
    // replaces the old one shortly after its last file came. If it is not usable, the old context
    // stays and the event tls.refused says why.
    bool take_file(std::string_view name, const UniqueFd& file);

    // For each new connection: what it is to use. Absent if there has never been a usable list:
    // then the daemon announces no TLS, and what needs it (submissions, imaps) is not served.
    const std::optional<TlsContext>& context() const { return context_; }

    // What attach() and the timer do; for tests.
    void connect_keyd(UniqueFd socket);
    void rebuild();

  private:
    std::string service_;
    std::vector<std::string> alpn_;
    std::shared_ptr<DatagramSigner> signer_;
    std::vector<std::string> chains_; // PEM, in order of arrival
    std::optional<TlsContext> context_;
    Timer rebuild_timer_;
};

} // namespace tambo
