// What smtpd tells queued about a message beside its bytes: the envelope with the prefix, and who
// claims to have written it. Pure code over the header that Content has seen.
#pragma once

#include "common/ipc/messages/queued.h"
#include "common/mime/header_scanner.h"
#include "smtpd/content.h"
#include "smtpd/received.h"
#include "smtpd/transaction.h"

#include <string>
#include <string_view>
#include <vector>

namespace tambo::smtpd {

// The mailboxes of the From field, or of the Sender field.
struct Authors {
    enum class Verdict {
        fine,    // addresses has one or more, all in one domain
        absent,  // no such field at all
        refused, // more than one field, several domains, or something readers may disagree about
    };
    Verdict verdict = Verdict::absent;
    std::vector<std::string> addresses; // canonical keys
};
// default_domain completes names without domain, unless it is empty.
Authors find_authors(const mime::HeaderScanner& header,
                     mime::Watched field,
                     std::string_view default_domain);

// qid, reverse-path, parameters and prefix; sid, token and client_ip are the caller's. login: the
// address to put into a missing From field, empty for mail from strangers, to which nothing but
// Received is ever added.
ipc::EnvelopeStart make_envelope(const TraceFacts& facts,
                                 const Content& content,
                                 const Transaction& mail,
                                 std::string_view login);

} // namespace tambo::smtpd
