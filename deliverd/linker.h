// Brings a spool body into an account: one hard link, so that a message is on the disk once
// whatever the number of its recipients. Where the filesystem cannot link (another filesystem, too
// many links) it copies. Never reads a message otherwise, never writes one.
#pragma once

#include "common/base/id.h"
#include "common/ipc/messages/delivery.h"

#include <string>

namespace tambo::deliverd {

enum class LinkOutcome {
    linked,     // the body lies in the account under the delivery's name (now, or from before)
    no_account, // the account's directory is missing or incomplete
    no_body,    // the spool has no such file
    foreign,    // another file has the name: never overwritten, somebody must look
    no_space,   // disk or quota full
    failed,     // another error; error says which
};

struct LinkResult {
    LinkOutcome outcome = LinkOutcome::failed;
    int error = 0;
    bool copied = false;
};

class Linker {
  public:
    // Descriptors of spool/bodies/ and mail/, kept by the caller.
    Linker(int spool_fd, int mail_fd) : spool_fd_(spool_fd), mail_fd_(mail_fd) {}

    // Idempotent: the name follows from {qid, rcpt_no, action_no} (RULES.md R10).
    LinkResult link(const ipc::Deliver& job) const;
    // "<account id>/bodies/xx/<name>" below mail/.
    static std::string target_path(const ipc::DeliveryFacts& facts);

  private:
    LinkResult judge_existing(const ipc::Deliver& job, const std::string& target) const;
    // For EXDEV and EMLINK: a copy, durable before it has its name (RULES.md R14, R15).
    LinkResult copy(const ipc::Deliver& job, const std::string& target) const;

    int spool_fd_, mail_fd_;
};

} // namespace tambo::deliverd
