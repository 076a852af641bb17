// Tells authd when a client leaves a SASL exchange in the middle: made with a challenge, marked when
// the client has answered it.
#pragma once

#include "common/ipc/channel.h"
#include "common/ipc/messages/authd.h"

#include <cstdint>

namespace tambo::ipc {

struct SaslGuard {
    Channel& authd; // outlives the guard
    uint64_t exchange;
    bool answered = false;
    ~SaslGuard() {
        if (!answered) authd.send(SaslAbort{exchange});
    }
};

} // namespace tambo::ipc
