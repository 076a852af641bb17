// What the queue writes to senders and to the postmaster: failure reports, delay notices, copies of
// reports that could not be returned. Pure; RFC 3464 itself is in common/mime/report.h.
#pragma once

#include "common/mime/report.h"
#include "common/spool/envelope.h"

#include <string>
#include <string_view>
#include <vector>

namespace tambo::queued {

struct BounceFacts {
    spool::Report kind = spool::Report::failure;
    Id id; // of the report
    UtcTime now;
    UtcTime gives_up; // when trying ends; for delay notices
    std::string hostname;
    std::string to; // reverse-path of the message, or the postmaster
};

// recipients: with their last status. The targets of aliases are not told to the sender: reports
// name the recipient as the sender gave it.
mime::Report make_report(const BounceFacts& facts,
                         const spool::Envelope& envelope,
                         const std::vector<spool::Recipient>& recipients);

// RFC 3461 4.1: whether the sender wants this kind of report for a recipient with this NOTIFY.
bool wants_report(std::string_view notify, spool::Report kind);

} // namespace tambo::queued
