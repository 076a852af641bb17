// Every message between the daemons, as a hijacked peer would send it: what decodes must encode to
// bytes that decode to the same bytes again, and nothing may be read beyond the input.
#include "common/base/check.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/admin.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/messages/control.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/dnsd.h"
#include "common/ipc/messages/keeper.h"
#include "common/ipc/messages/keyd.h"
#include "common/ipc/messages/queued.h"
#include "common/ipc/messages/relayd.h"

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

using namespace tambo;
using namespace tambo::ipc;

namespace {

template <class M>
void try_message(std::string_view bytes, size_t descriptors) {
    std::vector<UniqueFd> fds;
    for (size_t i = 0; i < descriptors; ++i)
        fds.emplace_back(::dup(STDERR_FILENO));
    const auto message = decode<M>(bytes, fds);
    if (!message) return;
    Writer first;
    first(*message);
    const std::string text(first.bytes());
    // The message has taken the first ones; the vector keeps their places.
    for (UniqueFd& fd : fds)
        fd.reset(::dup(STDERR_FILENO));
    const auto again = decode<M>(text, fds);
    check(again.has_value(), "what was encoded does not decode");
    Writer second;
    second(*again);
    check(second.bytes() == text, "encoding is not stable");
}

template <class... M>
void try_one(size_t which, std::string_view bytes, size_t descriptors) {
    size_t index = 0;
    ((index++ == which ? try_message<M>(bytes, descriptors) : void()), ...);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const auto header = decode_header(input))
        check(input.starts_with(encode_header(*header)), "a header has one form");
    if (input.size() < 2) return 0;
    const size_t which = static_cast<uint8_t>(input[0]);
    const size_t descriptors = static_cast<uint8_t>(input[1]) % 3;
    try_one<AdminAnswer, AdminRequest, ConnectionVerdict, ConnectionOpened, ConnectionClosed,
            SaslAnswer, SaslStart, SaslContinue, LocalTaken, LocalArrival, CheckSender,
            CheckRecipient, Resolution, Resolve, AccountFacts, AskAccount, Hello, Configure,
            PeerSocket, PeerGone, ListenSocket, OpenFile, Start, Ready, Fault, StorageState,
            Retired, DropTaken, Delivered, Deliver, FileMessage, PrepareAccount, DnsAnswer,
            DnsLookup, AttachAnswer, AttachSession, KickAccount, AccountRoom, AccountLoad,
            AccountStarted, AccountFault, FsckReport, Fsck, Signature, Sign, SpoolOpened, OpenSpool,
            EnvelopeStart, EnvelopeRecipients, Commit, Discard, CommittedAnswer, AskCommitted,
            RelayDone, Relay, Drain, SaslAbort, SessionEnded, ReplyText, Unwired, AccountChanged,
            SetQuota, AccountBuried, AccountUsage, AskUsage>(
        which, input.substr(2), descriptors);
    return 0;
}
