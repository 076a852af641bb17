// The queued that smtpd gives its messages to in tests: insists on what the real one insists on,
// and keeps what was committed.
#pragma once

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/queued.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tambo::smtpd::test {

struct Stored {
    ipc::EnvelopeStart envelope;
    std::vector<std::string> recipients;
    std::string body;
};

class FakeQueued {
  public:
    explicit FakeQueued(ipc::Channel& channel) : channel_(channel) {
        channel.on<ipc::OpenSpool>(*this, &FakeQueued::open);
        channel.on<ipc::EnvelopeStart>(*this, &FakeQueued::start);
        channel.on<ipc::EnvelopeRecipients>(*this, &FakeQueued::recipients);
        channel.on<ipc::Commit>(*this, &FakeQueued::commit);
        channel.on<ipc::Discard>(*this, &FakeQueued::discard);
        channel.on<ipc::AskCommitted>(*this, &FakeQueued::ask);
    }
    std::vector<Stored> stored;
    int opened = 0, discarded = 0, asked = 0;
    bool disk_full = false, refuse_commit = false, broken_disk = false;
    bool die_at_commit = false, remember = true; // the successor knows the message

  private:
    struct Entry {
        Stored message;
        UniqueFd file;
    };
    task<ipc::SpoolOpened> open(ipc::OpenSpool) {
        ipc::SpoolOpened answer;
        if (disk_full) {
            answer.refusal = {452, "4.3.1", "insufficient storage"};
            co_return answer;
        }
        answer.qid = Id{1, static_cast<uint64_t>(++opened)};
        Entry& entry = entries_[answer.qid];
        entry.file.reset(::memfd_create("spool", MFD_CLOEXEC));
        answer.body.reset(broken_disk ? ::open("/dev/full", O_WRONLY | O_CLOEXEC)
                                      : ::dup(entry.file.get()));
        co_return answer;
    }
    void start(ipc::EnvelopeStart envelope) {
        // What the real one insists on, or it closes the channel.
        for (const auto* text : {&envelope.sid, &envelope.helo, &envelope.client_ip,
                                 &envelope.client_name, &envelope.protocol, &envelope.message_id,
                                 &envelope.header_from, &envelope.reverse_path}) {
            check(std::none_of(text->begin(), text->end(), is_ctl), "a control character");
        }
        check(envelope.prefix.ends_with("\r\n") && envelope.prefix.size() < 24 * 1024, "prefix");
        entries_[envelope.qid].message.envelope = std::move(envelope);
    }
    void recipients(ipc::EnvelopeRecipients some) {
        for (auto& r : some.recipients) {
            entries_[some.qid].message.recipients.push_back(std::move(r.address));
        }
    }
    task<ipc::ReplyText> commit(ipc::Commit commit) {
        Entry& entry = entries_[commit.qid];
        entry.message.body = read_whole(entry.file.get(), 64u << 20, "spool");
        ipc::ReplyText answer{250, "2.0.0", cat("accepted as ", commit.qid.text())};
        const auto& body = entry.message.body;
        if (body.size() != commit.length || crc32c(0, body) != commit.crc32c) {
            answer = {451, "4.3.0", "length or checksum differ"};
        } else if (refuse_commit) {
            answer = {550, "5.7.1", "refused at completion"};
        } else {
            stored.push_back(std::move(entry.message));
        }
        if (die_at_commit) channel_.drop("killed");
        co_return answer;
    }
    void discard(ipc::Discard message) {
        ++discarded;
        entries_.erase(message.qid);
    }
    task<ipc::CommittedAnswer> ask(ipc::AskCommitted) {
        ++asked;
        ipc::CommittedAnswer answer;
        answer.accepted = remember;
        co_return answer;
    }

    ipc::Channel& channel_;
    std::map<Id, Entry> entries_;
};

} // namespace tambo::smtpd::test
