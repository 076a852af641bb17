// What smtpd, imapd and pop3d ask keyd: signatures of TLS handshakes, never a raw operation. These
// requests are blocking on the asking side for at most a second (a TLS library cannot wait).
#pragma once

#include "common/ipc/frame.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::ipc {

struct Signature {
    bool ok = false;
    std::string bytes;
    std::string error;
    template <class V> void visit(V& v) { v(ok, bytes, error); }
};

struct Sign {
    static constexpr uint16_t kType = 0x0901;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = Signature;
    uint32_t key_id = 0; // key_id() of crypto/keys.h
    uint8_t kind = 0;    // SignKind of crypto/key_signer.h; keyd refuses what it does not know
    uint16_t scheme = 0; // SignScheme, likewise
    std::string to_be_signed; // the whole content that the protocol defines, not a digest
    template <class V> void visit(V& v) { v(key_id, kind, scheme, to_be_signed); }
};

} // namespace tambo::ipc
