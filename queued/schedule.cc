#include "queued/schedule.h"

#include "common/base/check.h"
#include "common/base/limits.h"

#include <algorithm>

namespace tambo::queued {

using spool::Kind;

// Destinations are domains and address literals: neither begins with '/'.
std::string Schedule::lane_name(const spool::Recipient& recipient) {
    if (recipient.kind == Kind::remote) return recipient.destination;
    return '/' + recipient.account.text();
}

Schedule::Added Schedule::add(Job& job, bool fresh, int64_t now_ms) {
    if (active_.contains(job.key)) return Added::known;
    if (active_.size() >= (fresh ? kWindowFresh : kWindow)) return Added::full;
    std::string name = lane_name(job.recipient);
    auto [found, is_new] = lanes_.try_emplace(name);
    Lane& lane = found->second;
    if (is_new) {
        lane.name = std::move(name);
        lane.kind = job.recipient.kind;
    }
    active_.insert(job.key);
    if (now_ms < lane.suspended_until_ms) return Added::suspended;
    if (lane.groups.empty() || lane.groups.back().seq != job.key.seq) {
        lane.groups.push_back(Group{job.key.seq, {}});
    }
    lane.groups.back().jobs.push_back(std::move(job));
    enter_ring(lane, now_ms);
    return Added::waits;
}

bool Schedule::may_start(const Lane& lane, int64_t now_ms) const {
    if (lane.groups.empty() || now_ms < lane.suspended_until_ms) return false;
    if (lane.kind == Kind::local) return lane.running < kPerAccountMax;
    return lane.running < std::max<size_t>(1, static_cast<size_t>(lane.allowance));
}

void Schedule::enter_ring(Lane& lane, int64_t now_ms) {
    if (lane.in_ring || !may_start(lane, now_ms)) return;
    lane.in_ring = true;
    (lane.kind == Kind::local ? local_ring_ : remote_ring_).push_back(&lane);
}

std::optional<Errand> Schedule::next(int64_t now_ms) {
    if (local_running_ < kLocalMax) {
        if (auto errand = next_of(local_ring_, now_ms)) {
            ++local_running_;
            return errand;
        }
    }
    if (remote_running_ >= remote_max_) return std::nullopt;
    auto errand = next_of(remote_ring_, now_ms);
    if (errand) ++remote_running_;
    return errand;
}

std::optional<Errand> Schedule::next_of(std::deque<Lane*>& ring, int64_t now_ms) {
    while (!ring.empty()) {
        Lane& lane = *ring.front();
        ring.pop_front();
        lane.in_ring = false;
        if (!may_start(lane, now_ms)) continue;
        Errand errand{lane.name, lane.kind, {}};
        take_jobs(lane, errand);
        ++lane.running;
        enter_ring(lane, now_ms);
        return errand;
    }
    return std::nullopt;
}

// One turn of the message in front; what is left of it goes behind the others.
void Schedule::take_jobs(Lane& lane, Errand& errand) {
    Group group = std::move(lane.groups.front());
    lane.groups.pop_front();
    const size_t most = lane.kind == Kind::local ? 1 : limits::relay_recipients_per_transaction;
    size_t bytes = 0;
    while (!group.jobs.empty() && errand.jobs.size() < most) {
        bytes += group.jobs.front().recipient.address.size() + 16;
        if (bytes > kErrandBytesMax && !errand.jobs.empty()) break;
        errand.jobs.push_back(std::move(group.jobs.front()));
        group.jobs.pop_front();
    }
    if (!group.jobs.empty()) lane.groups.push_back(std::move(group));
}

std::vector<Job> Schedule::finished(const Errand& errand, Answer answer, int64_t now_ms) {
    const auto found = lanes_.find(errand.lane);
    check(found != lanes_.end() && found->second.running > 0, "an errand of no lane");
    Lane& lane = found->second;
    --lane.running;
    --(lane.kind == Kind::local ? local_running_ : remote_running_);
    std::vector<Job> drained;
    if (lane.kind == Kind::remote) {
        switch (answer) {
        case Answer::good:
            lane.suspensions = 0;
            lane.allowance = std::min<double>(lane.allowance + 1 / lane.allowance,
                                              limits::relay_concurrency_per_destination);
            break;
        case Answer::throttled:
            lane.allowance = std::max(1.0, lane.allowance / 2);
            break;
        case Answer::unreachable:
            lane.allowance -= 1;
            if (lane.allowance < 1) drained = suspend(lane, now_ms);
            break;
        case Answer::lost:
            break;
        }
    }
    enter_ring(lane, now_ms);
    return drained;
}

std::vector<Job> Schedule::suspend(Lane& lane, int64_t now_ms) {
    lane.allowance = 1; // one transaction finds out whether it is back
    // Others that were under way to it when it was suspended do not prolong it.
    if (now_ms < lane.suspended_until_ms) return {};
    ++lane.suspensions;
    lane.suspended_until_ms = now_ms + plain_delay_ms(rules_, lane.suspensions);
    std::vector<Job> drained;
    for (Group& group : lane.groups) {
        std::move(group.jobs.begin(), group.jobs.end(), std::back_inserter(drained));
    }
    lane.groups.clear();
    return drained;
}

void Schedule::remove(int64_t seq) {
    for (auto& [name, lane] : lanes_) {
        for (Group& group : lane.groups) {
            if (group.seq != seq) continue;
            for (const Job& job : group.jobs)
                active_.erase(job.key);
            group.jobs.clear();
        }
        std::erase_if(lane.groups, [](const Group& group) { return group.jobs.empty(); });
    }
}

std::optional<int64_t> Schedule::suspended_until(const std::string& destination,
                                                 int64_t now_ms) const {
    const auto found = lanes_.find(destination);
    if (found == lanes_.end() || found->second.suspended_until_ms <= now_ms) return std::nullopt;
    return found->second.suspended_until_ms;
}

void Schedule::lift_suspensions() {
    for (auto& [name, lane] : lanes_) {
        lane.suspended_until_ms = 0;
        lane.suspensions = 0;
    }
}

void Schedule::tidy(int64_t now_ms) {
    std::erase_if(lanes_, [&](const auto& item) {
        const Lane& lane = item.second;
        if (lane.in_ring || lane.running > 0 || !lane.groups.empty()) return false;
        // How often it was suspended counts until its mail has had a chance to come back.
        return lane.suspensions == 0 || now_ms > lane.suspended_until_ms + rules_.retry_max_ms;
    });
}

size_t Schedule::suspended(int64_t now_ms) const {
    return static_cast<size_t>(std::count_if(lanes_.begin(), lanes_.end(), [&](const auto& item) {
        return item.second.suspended_until_ms > now_ms;
    }));
}

} // namespace tambo::queued
