// Signatures from keyd over a SOCK_SEQPACKET socket. It blocks, because a TLS library cannot wait
// in the middle of a handshake, and therefore has a deadline. What the datagrams look like is the
// caller's business (common/ipc/messages/keyd.h): crypto knows no message.
#pragma once

#include "common/base/unique_fd.h"
#include "common/crypto/key_signer.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tambo {

struct SignCodec {
    // The datagram that asks; its answer must carry the same id.
    std::function<std::string(uint64_t id, const SignRequest&)> encode;
    // The signature, or the signer's reason. nullopt: not the answer to id, but perhaps a late one
    // to an earlier question.
    std::function<std::optional<Result<std::string>>(uint64_t id, std::string_view datagram)>
        decode;
};

class DatagramSigner final : public KeySigner {
  public:
    // timeout_ms: of one signature. Without a socket every request fails until connect().
    explicit DatagramSigner(SignCodec codec, int64_t timeout_ms = 3000);

    // Takes a new socket (first wiring, or keyd's successor).
    void connect(UniqueFd socket);
    bool connected() const { return socket_.valid(); }

    // Fails at once if keyd is away, after timeout_ms if it does not answer. A lost socket is
    // closed.
    Result<std::string> sign(const SignRequest& request) override;

  private:
    std::optional<std::string> send(std::string_view datagram, int64_t deadline_ms);
    std::optional<std::string> wait(short events, int64_t deadline_ms) const;

    SignCodec codec_;
    int64_t timeout_ms_;
    UniqueFd socket_;
    uint64_t last_id_ = 0;
};

} // namespace tambo
