#include "smtpd/keyd_codec.h"

#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/keyd.h"

namespace tambo::smtpd {

namespace {

std::string encode_question(uint64_t id, const SignRequest& request) {
    ipc::Sign question;
    question.key_id = request.key_id;
    question.kind = static_cast<uint8_t>(request.kind);
    question.scheme = static_cast<uint16_t>(request.scheme);
    question.to_be_signed = request.tbs;
    const std::string payload = ipc::encode(question);
    ipc::FrameHeader header{ipc::Sign::kType, ipc::FrameHeader::request, 0, id};
    header.length = static_cast<uint32_t>(payload.size());
    return ipc::encode_header(header) + payload;
}

std::optional<Result<std::string>> decode_answer(uint64_t id, std::string_view datagram) {
    const auto header = ipc::decode_header(datagram);
    if (!header || header->id != id || header->type != ipc::Sign::kType) return std::nullopt;
    if (header->flags != ipc::FrameHeader::reply) return std::nullopt;
    auto answer = ipc::decode<ipc::Signature>(datagram.substr(ipc::kHeaderBytes));
    if (!answer) return std::nullopt;
    if (!answer->ok) return Result<std::string>(Err<std::string>{answer->error});
    return Result<std::string>(std::move(answer->bytes));
}

} // namespace

SignCodec keyd_codec() {
    return SignCodec{encode_question, decode_answer};
}

} // namespace tambo::smtpd
