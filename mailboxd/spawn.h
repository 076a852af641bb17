// Between the keeper and its zygote: what a new account process is told. One datagram, one
// descriptor (its channel to the keeper).
#pragma once

#include "common/base/id.h"
#include "common/base/unique_fd.h"

#include <cstdint>
#include <string>

namespace tambo::mailboxd {

// What the account process is there for.
enum class Purpose : uint8_t {
    serve, // sessions and filing; checks too, while the account is open
    fsck,  // answers Fsck about an account that nobody has open
    erase, // empties the directory of an account that was deleted long ago
    last_ = erase
};

struct Spawn {
    Id account;
    std::string address; // for events
    Purpose purpose = Purpose::serve;
    uint32_t epoch = 0;
    bool read_only = false; // the storage has failed: mail can be read, nothing changed
    uint64_t quota_bytes = 0, quota_messages = 0;
    uint64_t message_bytes_max = 0, disk_reserve_bytes = 0;
    UniqueFd channel;

    template <class V>
    void visit(V& v) {
        v(account, address, purpose, epoch, read_only, quota_bytes, quota_messages,
          message_bytes_max, disk_reserve_bytes, channel);
    }

    // Name of the account's directory below mail/.
    std::string directory() const {
        return purpose == Purpose::erase ? deleted_directory(account) : account.text();
    }
    static std::string deleted_directory(const Id& account) { return account.text() + ".deleted"; }
};

} // namespace tambo::mailboxd
