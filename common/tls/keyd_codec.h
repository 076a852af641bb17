// A signature request as keyd's message: where crypto, which knows no messages, and ipc, which
// knows no keys, meet.
#pragma once

#include "common/crypto/datagram_signer.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/keyd.h"

#include <optional>
#include <string>
#include <string_view>

namespace tambo {

inline std::string encode_sign(uint64_t id, const SignRequest& request) {
    ipc::Sign message;
    message.key_id = request.key_id;
    message.kind = static_cast<uint8_t>(request.kind);
    message.scheme = static_cast<uint16_t>(request.scheme);
    message.to_be_signed = request.tbs;
    const auto payload = ipc::encode(message);
    const ipc::FrameHeader header{ipc::Sign::kType, ipc::FrameHeader::request,
                                  static_cast<uint32_t>(payload.size()), id};
    return ipc::encode_header(header) + payload;
}

// nullopt for anything that is not the reply to id; a malformed reply to it is an error.
inline std::optional<Result<std::string>> decode_signature(uint64_t id, std::string_view datagram) {
    using Answer = Result<std::string>;
    const auto header = ipc::decode_header(datagram);
    if (!header || header->id != id || header->type != ipc::Sign::kType ||
        header->flags != ipc::FrameHeader::reply) {
        return std::nullopt;
    }
    auto reply = ipc::decode<ipc::Signature>(datagram.substr(ipc::kHeaderBytes));
    if (!reply) return Answer(Err{"malformed reply from keyd"});
    if (!reply->ok) return Answer(Err{std::move(reply->error)});
    return Answer(std::move(reply->bytes));
}

inline SignCodec keyd_codec() {
    return SignCodec{encode_sign, decode_signature};
}

} // namespace tambo
