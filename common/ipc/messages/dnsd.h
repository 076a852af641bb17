// What smtpd and relayd ask dnsd, the only process that talks DNS.
#pragma once

#include "common/ipc/frame.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::ipc {

enum class DnsType : uint8_t { a, aaaa, mx, ptr, txt, cname, last_ = cname };

enum class DnsStatus : uint8_t {
    found,
    no_data,   // the name exists, not with this type
    no_name,   // NXDOMAIN
    temporary, // SERVFAIL, time-out, refused, malformed: ask later
    last_ = temporary
};

struct DnsRecord {
    std::string text;        // address, host name in lower case without final dot ("." for the
                             // root: null MX), or TXT bytes joined
    uint16_t preference = 0; // MX
    template <class V> void visit(V& v) { v(text, preference); }
};

struct DnsAnswer {
    DnsStatus status = DnsStatus::temporary;
    std::vector<DnsRecord> records; // bounded by limits::dns_*
    uint32_t ttl_s = 0;
    bool secure = false; // AD from a trusted resolver
    std::string canonical_name;
    template <class V> void visit(V& v) { v(status, records, ttl_s, secure, canonical_name); }
};

struct DnsLookup {
    static constexpr uint16_t kType = 0x0801;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = DnsAnswer;
    std::string name; // A-labels; for PTR the address itself ("192.0.2.1")
    DnsType type = DnsType::a;
    template <class V> void visit(V& v) { v(name, type); }
};

} // namespace tambo::ipc
