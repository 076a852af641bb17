// SEARCH and UID SEARCH, RFC 3501 6.4.4: a scan in batches that lets other sessions run in between.
#include "common/base/check.h"
#include "common/base/text.h"
#include "imapd/session/search_match.h"
#include "imapd/session/state.h"

#include <algorithm>
#include <span>
#include <system_error>

namespace tambo::imap {

namespace {

using Truth = SearchMatch::Truth;

constexpr uint32_t kBatch = 256;

// The facts of a message that must wait for its text.
struct OwnFacts {
    explicit OwnFacts(const store::FactsView& view)
        : from(view.from), to(view.to), cc(view.cc), bcc(view.bcc), subject(view.subject),
          header(view.header), sent_s(view.sent_s) {}
    store::FactsView view() const {
        store::FactsView out;
        out.from = from;
        out.to = to;
        out.cc = cc;
        out.bcc = bcc;
        out.subject = subject;
        out.header = header;
        out.sent_s = sent_s;
        return out;
    }
    std::string from, to, cc, bcc, subject, header;
    std::optional<int64_t> sent_s;
};

class Search {
  public:
    Search(Session& session, const SearchProgram& program)
        : session_(session), match_(program, session.view()) {}

    task<> run() {
        for (uint32_t next = 1; next <= session_.view().count(); next += kBatch) {
            co_await batch(next, std::min(kBatch, session_.view().count() - next + 1));
            co_await session_.breathe();
        }
    }

    // Ascending sequence numbers and UIDs of what was found.
    std::vector<std::pair<uint32_t, uint32_t>> found;

  private:
    task<> batch(uint32_t first, uint32_t count);
    void by_entries(uint32_t first, uint32_t count);
    task<> by_facts();
    size_t judge_facts(std::span<SearchSubject> subjects);
    task<> by_text(size_t index);
    void add(const SearchSubject& subject) {
        found.emplace_back(subject.number, subject.entry.uid);
    }

    Session& session_;
    SearchMatch match_;
    std::vector<SearchSubject> open_;  // not decided yet
    std::vector<OwnFacts> open_facts_; // of open_, if the criteria need them
};

task<> Search::batch(uint32_t first, uint32_t count) {
    const auto before = static_cast<std::ptrdiff_t>(found.size());
    open_.clear();
    open_facts_.clear();
    by_entries(first, count);
    if (!open_.empty() && match_.needs_facts()) co_await by_facts();
    for (size_t i = 0; i < open_.size(); ++i) {
        co_await by_text(i);
        co_await session_.breathe();
    }
    std::sort(found.begin() + before, found.end());
}

void Search::by_entries(uint32_t first, uint32_t count) {
    const store::View& view = session_.view();
    SearchSubject subject;
    for (uint32_t n = first; n < first + count; ++n) {
        subject.number = n;
        subject.entry = view.at(n);
        subject.recent = view.is_recent(subject.entry.uid);
        const Truth truth = match_.judge(subject);
        if (truth == Truth::yes) add(subject);
        if (truth == Truth::unknown) open_.push_back(subject);
    }
}

task<> Search::by_facts() {
    std::vector<SearchSubject> subjects;
    subjects.swap(open_);
    for (size_t done = 0; done < subjects.size();) {
        done += judge_facts(std::span(subjects).subspan(done));
        co_await session_.breathe();
    }
}

// Of how many messages, at least one: with many keys no more than the others' patience allows.
size_t Search::judge_facts(std::span<SearchSubject> subjects) {
    std::vector<store::Entry> entries;
    for (const auto& subject : subjects)
        entries.push_back(subject.entry);
    size_t index = 0;
    const auto judge = [&](const store::Entry&, const store::FactsView& facts) {
        SearchSubject& subject = subjects[index++];
        subject.facts = &facts;
        const Truth truth = match_.judge(subject);
        subject.facts = nullptr;
        if (truth == Truth::yes) add(subject);
        if (truth == Truth::unknown) {
            open_.push_back(subject);
            open_facts_.emplace_back(facts);
        }
        return !session_.is_breathless();
    };
    accepted(session_.account().read_facts(entries, store::FactsPart::text, judge));
    check(index > 0, "facts of no message");
    return index;
}

// A message that cannot be read is not found. The keys that look through it do so one by one.
task<> Search::by_text(size_t index) {
    SearchSubject& subject = open_[index];
    store::FactsView facts;
    if (match_.needs_facts()) {
        facts = open_facts_[index].view();
        subject.facts = &facts;
    }
    auto reader = session_.account().open_message(subject.entry);
    if (!reader.ok()) co_return;
    try {
        subject.text = reader->text();
    } catch (const std::system_error&) {
        co_return;
    }
    auto truth = match_.judge(subject);
    while (truth == Truth::unknown && subject.wanted) {
        match_.ask_wanted(subject);
        co_await session_.breathe();
        truth = match_.judge(subject);
    }
    if (truth == Truth::yes) add(subject);
    subject = SearchSubject(); // not needed any more, and many may be open
}

task<std::string> run(Session& session, Parser& args, bool by_uid) {
    args.space();
    const auto program = parse_search(args);
    Search search(session, program);
    co_await search.run();
    std::string out = "* SEARCH";
    for (const auto& [number, uid] : search.found) {
        out.push_back(' ');
        cat_to(out, by_uid ? uid : number);
        if (out.size() < 16 * 1024) continue;
        session.io().put(out);
        out.clear();
        if (session.crowded()) co_await session.io().flush();
    }
    session.io().put(cat(out, "\r\n"));
    co_return "Searched";
}

} // namespace

task<std::string> cmd_search(Session& session, Parser& args) {
    auto text = co_await run(session, args, false);
    co_return text;
}

task<std::string> cmd_uid_search(Session& session, Parser& args) {
    auto text = co_await run(session, args, true);
    co_return text;
}

} // namespace tambo::imap
