// The certificates of a daemon that serves TLS: taken as files from master, replaced while it runs,
// with the private keys behind a socket to keyd. Whatever goes wrong with a new certificate, the
// daemon goes on with the one it has.
#pragma once

#include "common/base/unique_fd.h"
#include "common/crypto/datagram_signer.h"
#include "common/crypto/tls.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tambo::net {

class ServerTls {
  public:
    // service, alpn: as in TlsServerConfig. codec: the datagrams that keyd understands.
    ServerTls(std::string service, std::vector<std::string> alpn, SignCodec codec);

    // "certificate:N" is a PEM chain whose key keyd calls N. false: the name is no certificate's.
    bool take_file(const std::string& name, const UniqueFd& file);
    // What was taken since the last apply() is the whole new set (common/ipc/messages/control.h,
    // OpenFile); nothing taken: the old one stays. An unusable set is an event, not an error.
    void apply();
    // The first socket to keyd, and one to each successor.
    void take_signer(UniqueFd socket);

    // For the next connection; nullopt while there is no usable certificate.
    const std::optional<TlsContext>& context() const { return context_; }

  private:
    TlsServerConfig config_;
    std::shared_ptr<DatagramSigner> signer_;
    std::map<uint32_t, std::string> arriving_;
    std::optional<TlsContext> context_;
};

} // namespace tambo::net
