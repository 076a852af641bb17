// The client side of queued's intake (common/ipc/messages/queued.h): a spool file to write, then an
// envelope and the commit. The 250 that comes out of commit() is queued's, given after its barrier.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/task.h"
#include "common/ipc/messages/queued.h"
#include "common/smtp/reply.h"
#include "smtpd/service.h"
#include "smtpd/transaction.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::smtpd {

// One message on its way into the queue. Unless commit() was called, queued is told to discard it.
class SpoolFile {
  public:
    explicit SpoolFile(Service& service) : service_(service) {}
    ~SpoolFile();
    SpoolFile(const SpoolFile&) = delete;
    SpoolFile& operator=(const SpoolFile&) = delete;

    // Asks queued for the file. Throws Reject (452 4.3.1 for a full disk) or PeerLost.
    task<> open(uint64_t size_hint);
    const Id& qid() const { return qid_; }

    // Appends to the file. A failure is kept for failure(), so that the message can be read to its
    // end; further bytes are then ignored.
    void write(std::string_view bytes);
    const std::optional<smtp::Reply>& failure() const { return failure_; }
    uint64_t length() const { return length_; }

    // Hands over {envelope, recipients, length, checksum} and waits until queued has made all of it
    // durable or refused it. If queued dies meanwhile its successor is asked. envelope.qid is
    // filled in here.
    task<smtp::Reply> commit(ipc::EnvelopeStart envelope, const Recipients& recipients);

  private:
    bool send_envelope(const ipc::EnvelopeStart& envelope, const Recipients& recipients);
    task<smtp::Reply> ask_successor();

    Service& service_;
    Id qid_;
    UniqueFd body_;
    uint64_t length_ = 0;
    uint32_t crc_ = 0;
    std::optional<smtp::Reply> failure_;
    bool discard_ = false;
};

} // namespace tambo::smtpd
