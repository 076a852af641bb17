// Contents: what a message is, apart from where it lies. Rows of content and content_text, the
// number of entries that refer to them, and the list of those to be purged. Called inside a
// transaction unless said otherwise; throws db::DbError.
#pragma once

#include "common/store/body_name.h"
#include "common/store/index.h"
#include "common/store/message.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace tambo::store {

struct Content {
    BodyName body;
    uint64_t body_bytes = 0;
    std::string prefix;
};

// Key of the table delivered: 24 bytes that sort like queue ids.
std::string key_bytes(const DeliveryKey& key);

// A new content with its facts (version 0: not computed). Returns its number.
uint32_t insert_content(Index& index,
                        const Content& content,
                        const MessageFacts& facts,
                        uint32_t facts_version);
void update_facts(Index& index,
                  uint32_t content,
                  const MessageFacts& facts,
                  uint32_t facts_version);

// Outside a transaction too. nullopt: no such content.
std::optional<Content> read_content(Index& index, uint32_t content);
Id read_email_id(Index& index, uint32_t content);

// One entry more, one less. The last one less puts the content on the list of the dead.
void add_reference(Index& index, uint32_t content);
void drop_reference(Index& index, uint32_t content, UtcTime now);

// Unlinks the bodies of up to `limit` contents that died before `before`, then removes their rows
// (RULES.md R9: that they died is durable). Those that `keep` holds stay. In a
// transaction of its own. True if there may be more.
bool purge_dead(Index& index,
                UtcTime before,
                size_t limit,
                const std::unordered_map<uint32_t, uint32_t>& keep);

// Opens the text of a content; nullopt if its body file cannot be opened.
std::optional<MessageReader> open_content(const Index& index, Content content);

} // namespace tambo::store
