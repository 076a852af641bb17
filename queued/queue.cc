#include "queued/queue.h"

#include "common/base/limits.h"
#include "common/smtp/address.h"
#include "common/smtp/reply_texts.h"

#include <algorithm>
#include <system_error>

namespace tambo::queued {

namespace {

constexpr size_t kRemembered = 16'384;

ipc::ReplyText reply(const smtp::ReplyText& text) {
    return {static_cast<uint16_t>(text.code), std::string(text.enhanced), std::string(text.text)};
}

} // namespace

Queue::Queue(Parts parts, conf::QueuedConfig config, uint32_t epoch)
    : nursery(parts.nursery), clock(parts.clock), random(parts.random), spool(parts.spool),
      db(parts.db), committer(parts.committer), config_(std::move(config)), epoch_(epoch),
      uptime_before_ms_(db.number("uptime")), started_ms_(clock.monotonic_ms()) {}

Id Queue::next_id() {
    return Id::make(epoch_, ++counter_, static_cast<uint32_t>(clock.now().ms),
                    static_cast<uint32_t>(random.u64()));
}

int64_t Queue::uptime_ms() {
    return uptime_before_ms_ + clock.monotonic_ms() - started_ms_;
}

void Queue::save_uptime() {
    const int64_t uptime = uptime_ms();
    Change change;
    change.apply = [uptime](spool::QueueDb& to) { to.set_number("uptime", uptime); };
    committer.record(std::move(change), Urgency::lazy);
}

ipc::ReplyText Queue::refusal(uint64_t size_hint) {
    if (committer.failed() || read_only_ || draining_) return reply(smtp::replies::local_error);
    const auto space = spool.space();
    const auto reserve = static_cast<uint64_t>(std::max<int64_t>(config_.disk_reserve, 0));
    // RULES.md R25.
    const auto size_max = static_cast<uint64_t>(std::max<int64_t>(config_.message_size_max, 0));
    const bool small =
        space.bytes < reserve || space.bytes - reserve < std::min(size_hint, size_max);
    // Without a reserve of bytes there is none of inodes.
    const bool few = reserve > 0 && space.inodes < limits::disk_reserve_inodes;
    if (small || few) return reply(smtp::replies::disk_full);
    return {};
}

void Queue::remember(const Id& qid) {
    if (!remembered_set_.insert(qid).second) return;
    remembered_.push_back(qid);
    if (remembered_.size() <= kRemembered) return;
    remembered_set_.erase(remembered_.front());
    remembered_.pop_front();
}

bool Queue::was_committed(const Id& qid) {
    return remembered_set_.contains(qid) || (!committer.failed() && db.holds(qid));
}

std::string destination_of(const std::string& address) {
    const auto parsed = smtp::parse_address(address);
    return parsed ? parsed->domain_key : std::string();
}

std::vector<spool::Recipient> recipients_of(uint32_t rcpt_no,
                                            const ipc::EnvelopeRecipient& given,
                                            const std::vector<ipc::Target>& targets,
                                            UtcTime now) {
    std::vector<spool::Recipient> rows;
    for (const ipc::Target& target : targets) {
        spool::Recipient& row = rows.emplace_back();
        row.rcpt_no = rcpt_no;
        row.action_no = static_cast<uint32_t>(rows.size() - 1);
        row.original = given.address;
        row.notify = given.notify;
        row.orcpt = given.orcpt;
        row.address = target.address;
        row.next_attempt = now;
        if (target.kind == ipc::TargetKind::local) {
            row.kind = spool::Kind::local;
            row.account = target.account;
            row.detail = target.detail;
        } else {
            row.kind = spool::Kind::remote;
            row.destination = destination_of(target.address);
        }
    }
    return rows;
}

} // namespace tambo::queued
