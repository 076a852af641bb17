// Puts the body of a message into an account: a hard link of the spool file, so that it is written
// to disk once whatever the number of recipients. Where a link is not possible it is a copy, synced
// here (research/security.md R10, R13, R14, R15). The only code of deliverd that touches files.
#pragma once

#include "common/base/unique_fd.h"
#include "common/ipc/messages/delivery.h"
#include "common/store/body_name.h"

#include <cstdint>
#include <string>

namespace tambo::deliverd {

enum class Linked {
    made,       // by this call
    present,    // by an earlier one: the same file, or a complete copy
    no_account, // the account has no directory yet
    no_body,    // the spool file is not there
    full,       // no space or quota of the filesystem
    collision,  // another body of that name is there
    failed,
};

struct LinkResult {
    Linked what = Linked::failed;
    bool copied = false;
    bool sync_failed = false; // nothing may be acknowledged any more (R2)
    std::string why;          // of full and failed
};

class Linker {
  public:
    // The directories spool/ and mail/. disk_reserve: copies leave that much space free.
    Linker(UniqueFd spool, UniqueFd mail, uint64_t disk_reserve);

    // Links the spool file of facts.qid as <account>/bodies/<bucket>/<name>. Blocks only where it
    // copies. Follows no symbolic link: account directories belong to another user.
    LinkResult link(const ipc::DeliveryFacts& facts, const store::BodyName& name);
    // Takes back what link() made, when no row refers to it.
    void unlink(const ipc::DeliveryFacts& facts, const store::BodyName& name);
    void set_disk_reserve(uint64_t bytes) { disk_reserve_ = bytes; }

  private:
    UniqueFd open_bucket(const ipc::DeliveryFacts& facts, const store::BodyName& name) const;
    LinkResult compare(int bucket, const ipc::DeliveryFacts& facts, const store::BodyName& name);
    LinkResult copy(int bucket, const ipc::DeliveryFacts& facts, const store::BodyName& name);
    LinkResult copy_to(int target, int source, const ipc::DeliveryFacts& facts);

    UniqueFd spool_, mail_;
    uint64_t disk_reserve_;
};

} // namespace tambo::deliverd
