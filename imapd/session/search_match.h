// Decides whether a message meets the criteria of SEARCH, in up to three steps: from its entry,
// with its facts (addresses, subject, usual header fields), with its text, one key at a time. Each
// step needs what costs more; most messages are decided by the first.
#pragma once

#include "common/mime/structure.h"
#include "common/store/view.h"
#include "imapd/session/search_key.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::imap {

// A message to be judged, with what is known of it so far.
struct SearchSubject {
    uint32_t number = 0; // sequence number
    store::Entry entry;
    bool recent = false;
    const store::FactsView* facts = nullptr;
    std::optional<std::string_view> text;
    std::optional<mime::Structure> structure; // of the text, made when it is needed
    std::vector<std::optional<bool>> of_text; // what the keys that need the text have found
    std::optional<size_t> wanted;             // the one that has to be asked next
};

class SearchMatch {
  public:
    enum class Truth { no, yes, unknown };

    // Throws No: [BADCHARSET] (RFC 3501 6.4.4), [LIMIT] for more than
    // limits::imap_search_fact_keys_max or imap_search_text_keys_max.
    SearchMatch(const SearchProgram& program, const store::View& view);
    ~SearchMatch();
    SearchMatch(const SearchMatch&) = delete;

    // unknown: more of the subject must be given first, or, if it has its text, the key that is
    // wanted must be asked.
    Truth judge(SearchSubject& subject) const;
    // Looks through the text for the key that is wanted: the only step that costs much at once.
    void ask_wanted(SearchSubject& subject) const;
    bool needs_facts() const { return needs_facts_; }
    bool needs_text() const { return needs_text_; }

  private:
    struct Node;
    std::unique_ptr<Node>
    prepare(const SearchKey& key, const std::string& charset, const store::View& view);
    static Truth evaluate(const Node& node, SearchSubject& subject);

    std::unique_ptr<Node> root_;
    std::vector<const Node*> text_nodes_; // by Node::text_index
    size_t fact_nodes_ = 0;
    bool needs_facts_ = false, needs_text_ = false;
};

} // namespace tambo::imap
