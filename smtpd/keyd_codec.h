// The datagrams between a TLS handshake and keyd (common/ipc/messages/keyd.h).
#pragma once

#include "common/crypto/datagram_signer.h"

namespace tambo::smtpd {

SignCodec keyd_codec();

} // namespace tambo::smtpd
