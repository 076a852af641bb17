// The keys and who asks for signatures with them. What may be signed is decided by
// common/crypto/tls_sign_policy.h, whoever asks; a key never leaves this process.
#pragma once

#include "common/base/time.h"
#include "common/base/unique_fd.h"
#include "common/crypto/key_ring.h"
#include "common/event/task.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/keyd.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::keyd {

class Server {
  public:
    explicit Server(Clock& clock) : clock_(clock) {}

    // A key file from master, "key:N". It replaces the one of the same N; that one still signs for
    // a while, because daemons replace their certificates on their own. A file that holds no usable
    // key changes nothing (event keyd.key_refused). Other names are ignored.
    void take_file(std::string_view name, const UniqueFd& file);
    // There are count keys now: those with a higher N go, after the same while.
    void set_count(uint32_t count);
    // Forgets the keys whose time is over. To be called every now and then.
    void tidy();

    ipc::Signature sign(const ipc::Sign& request);
    size_t keys() const { return ring_.size(); }

  private:
    struct Retired {
        uint32_t id;
        int64_t until_ms; // monotonic
    };
    void retire(uint32_t id);
    bool in_use(uint32_t id) const;

    Clock& clock_;
    KeyRing ring_;
    std::map<uint32_t, uint32_t> slots_; // N -> key id
    std::vector<Retired> retired_;
};

// One daemon on the other end of a channel.
class Peer {
  public:
    Peer(Server& server, ipc::Channel& channel, Clock& clock);

  private:
    task<ipc::Signature> sign(ipc::Sign request);
    void report(const ipc::Sign& request, const std::string& why);

    Server& server_;
    ipc::Channel& channel_;
    Clock& clock_;
    int64_t next_report_ms_ = 0; // monotonic
    int64_t refused_ = 0;        // since the last report
};

} // namespace tambo::keyd
