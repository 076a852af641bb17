// Between master and each child, on the control channel (descriptor 3 of the child). The child ends
// when this channel ends. Master is the callee of Hello, Ready, Fault, Retired, Unwired and
// DropTaken; the child of the rest.
#pragma once

#include "common/base/unique_fd.h"
#include "common/ipc/frame.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::ipc {

// child -> master, first of all. A build id other than master's ends the child.
struct Hello {
    static constexpr uint16_t kType = 0x0101;
    std::string build_id;
    template <class V>
    void visit(V& v) {
        v(build_id);
    }
};

// master -> child, before Start and again at reload: the daemon's own part of the configuration,
// one encoded struct of common/conf/<daemon>_config.h.
struct Configure {
    static constexpr uint16_t kType = 0x0102;
    uint64_t generation = 0;
    std::string config;
    template <class V>
    void visit(V& v) {
        v(generation, config);
    }
};

// master -> child: a socket to a peer, at start, whenever the peer was restarted, and after
// Unwired.
struct PeerSocket {
    static constexpr uint16_t kType = 0x0103;
    std::string peer;  // instance name: "queued", "mx.0", "imapd.3"
    uint64_t link = 0; // the number of this pair of sockets
    UniqueFd socket;
    template <class V>
    void visit(V& v) {
        v(peer, link, socket);
    }
};

// master -> child: this peer will not come back (a finished generation of imapd, for example).
struct PeerGone {
    static constexpr uint16_t kType = 0x0104;
    std::string peer;
    template <class V>
    void visit(V& v) {
        v(peer);
    }
};

// child -> master: this pair has closed, for whatever reason. If both of its processes still live a
// second later, they get a new one: a frame that one of them did not understand must not part them
// for good.
struct Unwired {
    static constexpr uint16_t kType = 0x010E;
    uint64_t link = 0; // of PeerSocket
    template <class V>
    void visit(V& v) {
        v(link);
    }
};

// master -> child before Start: a listening socket, bound and listening.
struct ListenSocket {
    static constexpr uint16_t kType = 0x0105;
    std::string name; // "smtp", "submission", "imaps", "control", "submit"
    UniqueFd socket;
    template <class V>
    void visit(V& v) {
        v(name, socket);
    }
};

// master -> child before Start, and anew when it changes: an open file or directory ("spool",
// "mail", "aliases", "passwd", "resolv.conf", "ca-bundle", "key:1", "certificate:1"; "root" is an
// empty directory, "drop:<name>" a message that somebody left while we were down, which authd
// passes on to submit with its owner's login). At reload all numbered files of a kind are sent
// again and then Configure; what was sent since the last Configure is the whole new set.
inline constexpr std::string_view kDropPrefix = "drop:";

struct OpenFile {
    static constexpr uint16_t kType = 0x0106;
    std::string name;
    UniqueFd file;
    template <class V>
    void visit(V& v) {
        v(name, file);
    }
};

// master -> child: all that belongs to the start has been sent.
struct Start {
    static constexpr uint16_t kType = 0x0107;
    std::string instance;      // "mx.0"
    uint32_t epoch = 0;        // durable counter of unclean starts
    uint64_t start_number = 0; // counts starts of any child: distinguishes successors
    bool change_user = false;
    uint32_t uid = 0, gid = 0;
    std::vector<uint32_t> groups;
    std::string directory; // the suite's directory, for messages only
    bool log_to_stderr = false;
    template <class V>
    void visit(V& v) {
        v(instance, epoch, start_number, change_user, uid, gid, groups, directory, log_to_stderr);
    }
};

// child -> master: serving.
struct Ready {
    static constexpr uint16_t kType = 0x0108;
    std::string isolation; // what the sandbox could not do, empty if all
    template <class V>
    void visit(V& v) {
        v(isolation);
    }
};

// child -> master, only from those who keep mail or accounts: a failed fsync or another fault of
// the storage, after which acknowledgements are no longer safe (RULES.md R2).
struct Fault {
    static constexpr uint16_t kType = 0x0109;
    std::string what;
    template <class V>
    void visit(V& v) {
        v(what);
    }
};

// master -> child: stop accepting, finish what runs, then exit with 0.
struct Drain {
    static constexpr uint16_t kType = 0x010A;
    int64_t grace_ms = 0;
    template <class V>
    void visit(V& v) {
        v(grace_ms);
    }
};

// master -> child: the storage is read-only from now on (true) or usable again (false).
struct StorageState {
    static constexpr uint16_t kType = 0x010B;
    bool read_only = false;
    template <class V>
    void visit(V& v) {
        v(read_only);
    }
};

// child -> master: this process has closed its listeners for good and only serves what it has;
// master starts its successor (imapd and pop3d generations).
struct Retired {
    static constexpr uint16_t kType = 0x010C;
    uint32_t connections = 0;
    template <class V>
    void visit(V& v) {
        v(connections);
    }
};

enum class DropOutcome : uint8_t {
    taken,   // it is durably accepted, or its owner has got it back: master removes the file
    refused, // for good: master sets the file aside
    not_now, // the file stays, and is tried again
    last_ = not_now
};

// child (submit; authd for what is no message at all) -> master: what became of the file that was
// passed as OpenFile "drop:<name>".
struct DropTaken {
    static constexpr uint16_t kType = 0x010D;
    std::string name; // without "drop:"
    DropOutcome outcome = DropOutcome::not_now;
    template <class V>
    void visit(V& v) {
        v(name, outcome);
    }
};

} // namespace tambo::ipc
