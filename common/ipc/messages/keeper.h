// What authd asks mailboxd's keeper, and what the keeper asks its account processes.
#pragma once

#include "common/base/id.h"
#include "common/base/unique_fd.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/authd.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::ipc {

struct AttachAnswer {
    bool attached = false;
    std::string reason; // "paused", "disabled", "busy"
    template <class V> void visit(V& v) { v(attached, reason); }
};

// authd -> keeper after a login, and keeper -> account process. The client's end carries plain
// bytes of the protocol from the first byte behind the login on.
struct AttachSession {
    static constexpr uint16_t kType = 0x0601;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = AttachAnswer;
    Id account;
    std::string address; // of the account, for events
    Service service = Service::imap;
    UniqueFd client;
    std::string sid, client_ip;
    std::string session_hint; // see SaslStart
    uint64_t quota_bytes = 0, quota_messages = 0; // for a process that is started for it
    template <class V> void visit(V& v) {
        v(account, address, service, client, sid, client_ip, session_hint, quota_bytes,
          quota_messages);
    }
};

// authd -> keeper, one-way: close all sessions of the account (disabled, deleted, password
// changed).
struct KickAccount {
    static constexpr uint16_t kType = 0x0602;
    Id account;
    bool forget = false; // the account was deleted: its directory may go after a grace period
    template <class V> void visit(V& v) { v(account, forget); }
};

// authd -> keeper, one-way: what AskAccount would say has changed (the quota). Sessions stay.
struct AccountChanged {
    static constexpr uint16_t kType = 0x0608;
    Id account; // nil: of any account
    template <class V> void visit(V& v) { v(account); }
};

// keeper -> authd, one-way, after a KickAccount with forget: the directory has its other name, or
// there was none, and that is durable. Until then authd says it again to each keeper.
struct AccountBuried {
    static constexpr uint16_t kType = 0x060A;
    Id account;
    template <class V> void visit(V& v) { v(account); }
};

// keeper -> account process, one-way; what it is started with is in mailboxd/spawn.h. 0: no limit.
struct SetQuota {
    static constexpr uint16_t kType = 0x0609;
    uint64_t bytes = 0, messages = 0;
    template <class V> void visit(V& v) { v(bytes, messages); }
};

// account process -> keeper -> authd, one-way, when it opens the account and at each change. authd
// then refuses recipients in the session instead of queueing what cannot be filed. Who forgets it
// (the other end has started anew) accepts, and is told again at the next message without room.
struct AccountRoom {
    static constexpr uint16_t kType = 0x0605;
    Id account;
    uint64_t refused_from_bytes = 0; // so large messages find no room; 1: none does, 0: all do
    template <class V> void visit(V& v) { v(account, refused_from_bytes); }
};

// keeper -> account process: how much mail there is, counted as the quota counts it.
struct AccountUsage {
    std::string problem; // why its store cannot be opened; empty: it can
    uint64_t bytes = 0, messages = 0;
    template <class V> void visit(V& v) { v(problem, bytes, messages); }
};

struct AskUsage {
    static constexpr uint16_t kType = 0x060B;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = AccountUsage;
    template <class V> void visit(V&) {}
};

// account process -> keeper, one-way: how much is going on.
struct AccountLoad {
    static constexpr uint16_t kType = 0x0603;
    uint32_t sessions = 0;
    template <class V> void visit(V& v) { v(sessions); }
};

// account process -> keeper, one-way, first of all: a pidfd of the process, by which the keeper
// sees its end and can end one that hangs.
struct AccountStarted {
    static constexpr uint16_t kType = 0x0607;
    UniqueFd process;
    template <class V> void visit(V& v) { v(process); }
};

// account process -> keeper, one-way, before it ends: its store failed.
struct AccountFault {
    static constexpr uint16_t kType = 0x0606;
    std::string what;
    bool storage = false; // the disk itself (RULES.md R2), not just this index
    template <class V> void visit(V& v) { v(what, storage); }
};

// keeper -> account process: check the store (tambo fsck). The answer is a list of findings.
struct FsckReport {
    bool clean = false;
    bool damaged = false; // the index is; mending that takes an account that nobody has open
    std::vector<std::string> findings; // so many of them as fit
    uint64_t more = 0;                 // how many there are beside these
    template <class V>
    void visit(V& v) {
        v(clean, damaged, findings, more);
    }
};

struct Fsck {
    static constexpr uint16_t kType = 0x0604;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = FsckReport;
    bool repair = false;
    template <class V> void visit(V& v) { v(repair); }
};

} // namespace tambo::ipc
