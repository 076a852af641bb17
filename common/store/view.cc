// A view shows the live entries below uid_limit_ and, merged by uid, the ghosts: entries that are
// gone from the mailbox but not yet for this client.
#include "common/store/view.h"

#include "common/base/check.h"
#include "common/store/account.h"

#include <algorithm>

namespace tambo::store {

namespace {

struct ByUid {
    bool operator()(const Entry& a, const Entry& b) const { return a.uid < b.uid; }
    bool operator()(const Entry& a, uint32_t uid) const { return a.uid < uid; }
};

} // namespace

View::View(Account& account, std::shared_ptr<Mailbox> mailbox, bool read_only)
    : account_(account), mailbox_(std::move(mailbox)), read_only_(read_only),
      uid_limit_(mailbox_->status().uidnext) {
    claim_recent();
    recent_told_ = recent_count();
    mailbox_->observe(*this);
}

View::~View() {
    mailbox_->ignore(*this);
    for (const Entry& ghost : ghosts_)
        account_.unpin(ghost.content);
}

size_t View::live_count() const {
    return mailbox_->lower_bound(uid_limit_);
}

uint32_t View::count() const {
    return static_cast<uint32_t>(live_count() + ghosts_.size());
}

uint32_t View::last_uid() const {
    const size_t live = live_count();
    const uint32_t last_live = live == 0 ? 0 : mailbox_->entries()[live - 1].uid;
    return ghosts_.empty() ? last_live : std::max(last_live, ghosts_.back().uid);
}

const Entry& View::at(uint32_t seq) const {
    check(seq >= 1 && seq <= count(), "sequence number in the view");
    if (ghosts_.empty()) return mailbox_->entries()[seq - 1];
    // Sequence numbers of the ghosts ascend with their index: find the first that is not below seq.
    size_t low = 0, high = ghosts_.size();
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const size_t ghost_seq = mailbox_->lower_bound(ghosts_[middle].uid) + middle + 1;
        if (ghost_seq < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < ghosts_.size() && mailbox_->lower_bound(ghosts_[low].uid) + low + 1 == seq) {
        return ghosts_[low];
    }
    return mailbox_->entries()[seq - 1 - low];
}

bool View::is_expunged(uint32_t seq) const {
    return !ghosts_.empty() && mailbox_->find(at(seq).uid) == nullptr;
}

uint32_t View::lower_bound(uint32_t uid) const {
    const auto ghosts_below = std::lower_bound(ghosts_.begin(), ghosts_.end(), uid, ByUid{});
    const size_t live_below = mailbox_->lower_bound(std::min(uid, uid_limit_));
    return static_cast<uint32_t>(live_below) +
           static_cast<uint32_t>(ghosts_below - ghosts_.begin()) + 1;
}

uint32_t View::seq_of(uint32_t uid) const {
    const uint32_t seq = lower_bound(uid);
    return seq <= count() && at(seq).uid == uid ? seq : 0;
}

bool View::is_recent(uint32_t uid) const {
    if (read_only_) return uid >= mailbox_->status().recent_uid;
    return std::any_of(recent_.begin(), recent_.end(), [uid](const Range& range) {
        return uid >= range.first && uid <= range.second;
    });
}

uint32_t View::recent_count() const {
    if (read_only_) return count() + 1 - lower_bound(mailbox_->status().recent_uid);
    uint32_t recent = 0;
    for (const auto& [first, last] : recent_)
        recent += lower_bound(last + 1) - lower_bound(first);
    return recent;
}

void View::claim_recent() {
    const MailboxStatus& status = mailbox_->status();
    if (read_only_ || status.recent_uid >= status.uidnext || mailbox_->is_deleted()) return;
    if (!recent_.empty() && recent_.back().second + 1 == status.recent_uid) {
        recent_.back().second = status.uidnext - 1;
    } else {
        recent_.emplace_back(status.recent_uid, status.uidnext - 1);
    }
    account_.claim_recent(*mailbox_);
}

bool View::has_changes() const {
    return !ghosts_.empty() || !flag_events_.empty() || keyword_event_ || (gone_ && !gone_told_) ||
           mailbox_->entries().size() > live_count();
}

std::vector<uint32_t> View::take_expunges(ViewChanges& changes) {
    std::vector<uint32_t> uids;
    uids.reserve(ghosts_.size());
    changes.expunged.resize(ghosts_.size());
    for (size_t i = 0; i < ghosts_.size(); ++i) {
        uids.push_back(ghosts_[i].uid);
        const size_t seq = mailbox_->lower_bound(ghosts_[i].uid) + i + 1;
        changes.expunged[ghosts_.size() - 1 - i] = static_cast<uint32_t>(seq);
        account_.unpin(ghosts_[i].content);
    }
    ghosts_.clear();
    ghosts_.shrink_to_fit();
    return uids;
}

ViewChanges View::sync(bool may_expunge) {
    ViewChanges changes;
    const uint32_t known_limit = uid_limit_;
    if (may_expunge && !ghosts_.empty()) changes.vanished = take_expunges(changes);
    claim_recent();
    uid_limit_ = mailbox_->status().uidnext;
    changes.exists = mailbox_->entries().size() > mailbox_->lower_bound(known_limit);
    const uint32_t recent = recent_count();
    changes.recent = recent != recent_told_;
    recent_told_ = recent;
    changes.keywords = std::exchange(keyword_event_, false);
    std::sort(flag_events_.begin(), flag_events_.end());
    uint32_t before = 0;
    for (const uint32_t uid : flag_events_) {
        if (uid == before || uid >= known_limit || !mailbox_->find(uid)) continue;
        before = uid;
        changes.flags.push_back(seq_of(uid));
    }
    flag_events_.clear();
    changes.gone = gone_ && !std::exchange(gone_told_, true);
    return changes;
}

void View::notify() {
    if (on_change) on_change();
}

void View::appended(Mailbox&, size_t, Origin) {
    notify();
}

void View::flags_changed(Mailbox&, std::span<const uint32_t> uids, Origin origin) {
    if (origin == this) return;
    flag_events_.insert(flag_events_.end(), uids.begin(), uids.end());
    if (flag_events_.size() > 2 * mailbox_->entries().size()) {
        std::sort(flag_events_.begin(), flag_events_.end());
        flag_events_.erase(std::unique(flag_events_.begin(), flag_events_.end()),
                           flag_events_.end());
    }
    notify();
}

void View::expunged(Mailbox&, std::span<const Entry> gone, Origin) {
    const auto end = std::lower_bound(gone.begin(), gone.end(), uid_limit_, ByUid{});
    if (end == gone.begin()) return; // none of them was ever shown
    for (auto entry = gone.begin(); entry != end; ++entry)
        account_.pin(entry->content);
    const auto middle = static_cast<std::ptrdiff_t>(ghosts_.size());
    ghosts_.insert(ghosts_.end(), gone.begin(), end);
    std::inplace_merge(ghosts_.begin(), ghosts_.begin() + middle, ghosts_.end(), ByUid{});
    notify();
}

void View::keywords_changed(Mailbox&) {
    keyword_event_ = true;
    notify();
}

void View::deleted(Mailbox&) {
    gone_ = true;
    notify();
}

} // namespace tambo::store
