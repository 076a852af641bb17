// smtpd's part: a message goes into the queue by OpenSpool, the envelope, and Commit.
#pragma once

#include "common/base/bytes.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/queued.h"
#include "common/sys/file.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tambo::test {

// A message, and in what its transaction differs from a good one.
struct Message {
    std::string from = "sender@away.test";
    std::vector<std::string> to{"bob@home.test"};
    std::string text = "Subject: hello\r\nMessage-ID: <m1@away.test>\r\n\r\nHello Bob.\r\n";
    int64_t length_error = 0; // what Commit says too much
    uint32_t crc_error = 0;   // bits of it that Commit has wrong
    bool keep_writer = false; // the body stays open for writing
    bool no_envelope = false;
    std::string helo = "away.test";
    std::string token = "token", ret, envid;
    std::string prefix = "Received: from away.test by mx.home.test\r\n";
};

inline Message message_to(std::vector<std::string> to) {
    Message m;
    m.to = std::move(to);
    return m;
}

// What queued answered; lost: it went away before it answered Commit.
struct Outcome {
    Id qid;
    ipc::ReplyText open, commit;
    bool done = false, lost = false;
};

inline void send_envelope(ipc::Channel& queue, const Id& qid, const Message& m) {
    ipc::EnvelopeStart start;
    start.qid = qid;
    start.sid = "session1";
    start.token = m.token;
    start.parameters.ret = m.ret;
    start.parameters.envid = m.envid;
    start.reverse_path = m.from;
    start.helo = m.helo;
    start.prefix = m.prefix;
    queue.send(start);
    for (size_t i = 0; i < m.to.size();) {
        ipc::EnvelopeRecipients some;
        some.qid = qid;
        for (; i < m.to.size() && some.recipients.size() < 50; ++i) {
            some.recipients.push_back({m.to[i], "", ""});
        }
        queue.send(some);
    }
}

// The whole transaction. queue and out must outlive it.
inline task<> transact(ipc::Channel& queue, Message m, Outcome& out) {
    ipc::OpenSpool request;
    auto opened = co_await queue.call(std::move(request));
    out.open = opened.refusal;
    out.qid = opened.qid;
    if (out.open.code != 0) {
        out.done = true;
        co_return;
    }
    write_all(opened.body.get(), m.text, "body");
    UniqueFd kept;
    if (m.keep_writer) kept = std::move(opened.body);
    opened.body.reset();
    if (!m.no_envelope) send_envelope(queue, opened.qid, m);
    ipc::Commit commit;
    commit.qid = opened.qid;
    commit.length = static_cast<uint64_t>(static_cast<int64_t>(m.text.size()) + m.length_error);
    commit.crc32c = crc32c(0, m.text) ^ m.crc_error;
    try {
        out.commit = co_await queue.call(std::move(commit));
    } catch (const ipc::PeerLost&) {
        out.lost = true;
    }
    out.done = true;
}

} // namespace tambo::test
