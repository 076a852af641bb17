// See verdict.h.
#include "relayd/verdict.h"

#include "common/base/check.h"
#include "common/base/text.h"

#include <algorithm>

namespace tambo::relayd {

Verdict Verdict::ours(uint16_t code, std::string_view enhanced, std::string_view text) {
    Verdict verdict;
    verdict.status.code = code;
    verdict.status.enhanced = enhanced;
    verdict.status.text = text;
    verdict.permanent = code >= 500;
    return verdict;
}

Verdict Verdict::of(const smtp::ServerReply& reply) {
    if (reply.positive()) {
        return ours(451, "4.5.0", cat("unexpected reply ", reply.code, ": ", reply.text()));
    }
    Verdict verdict;
    verdict.status.code = static_cast<uint16_t>(reply.code);
    verdict.status.enhanced = reply.enhanced;
    if (reply.enhanced.empty()) verdict.status.enhanced = reply.permanent() ? "5.0.0" : "4.0.0";
    verdict.status.text = reply.text();
    verdict.permanent = reply.permanent();
    verdict.from_peer = true;
    return verdict;
}

Results::Results(const ipc::Relay& job) : settled_(job.recipients.size(), false) {
    for (const auto& [rcpt_no, address] : job.recipients) {
        ipc::RelayResult result;
        result.rcpt_no = rcpt_no;
        results_.push_back(std::move(result));
    }
}

bool Results::all_settled() const {
    return std::ranges::all_of(settled_, std::identity{});
}

void Results::settle_sent(size_t index, const smtp::ServerReply& reply) {
    check(!settled_[index] && accepts(reply), "sent once, by a 2xx");
    auto& result = results_[index];
    result.outcome = ipc::RelayOutcome::sent;
    result.status.code = static_cast<uint16_t>(reply.code);
    result.status.enhanced = reply.enhanced.empty() ? "2.0.0" : reply.enhanced;
    result.status.text = reply.text();
    result.from_peer = true;
    settled_[index] = true;
}

void Results::settle_failed(size_t index, const Verdict& verdict) {
    check(!settled_[index], "a recipient is settled once");
    auto& result = results_[index];
    result.outcome = verdict.permanent ? ipc::RelayOutcome::refused : ipc::RelayOutcome::deferred;
    result.status = verdict.status;
    result.from_peer = verdict.from_peer;
    settled_[index] = true;
}

void Results::settle_open(const Verdict& verdict) {
    for (size_t i = 0; i < settled_.size(); ++i) {
        if (!settled_[i]) settle_failed(i, verdict);
    }
}

} // namespace tambo::relayd
