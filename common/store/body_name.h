// Names of body files: bodies/xx/<name>, the same for deliverd (which links them) and the account
// process (which reads them). Header only, so that deliverd needs nothing else of the store.
#pragma once

#include "common/base/id.h"
#include "common/base/text.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::store {

inline constexpr uint32_t kBodyBuckets = 64; // bodies/00 .. bodies/3f, made with the account

// Names one delivery for all time: queue id, index of the recipient in the envelope, index of the
// action that the account took for it (0 = plain filing). RULES.md R10, R17, R20.
struct DeliveryKey {
    Id queue;
    uint32_t rcpt = 0;
    uint32_t action = 0;

    auto operator<=>(const DeliveryKey&) const = default;
};

// A delivered body is named by its delivery key ("<queue id>.<rcpt>.<action>"), an appended one by
// a fresh id alone. Names are unique in an account for ever.
struct BodyName {
    Id id;
    bool delivered = false;
    uint32_t rcpt = 0, action = 0; // 0 unless delivered

    auto operator<=>(const BodyName&) const = default;

    static BodyName of(const DeliveryKey& key) {
        return BodyName{key.queue, true, key.rcpt, key.action};
    }
    static BodyName appended(const Id& id) { return BodyName{id, false, 0, 0}; }
    static std::optional<BodyName> parse(std::string_view text) {
        const auto id = Id::parse(text.substr(0, 26));
        if (!id) return std::nullopt;
        if (text.size() == 26) return appended(*id);
        const auto [rcpt_text, action_text] = split_once(text.substr(27), '.');
        const auto rcpt = parse_uint(rcpt_text, UINT32_MAX);
        const auto action = parse_uint(action_text, UINT32_MAX);
        if (text[26] != '.' || !rcpt || !action) return std::nullopt;
        const auto name =
            of(DeliveryKey{*id, static_cast<uint32_t>(*rcpt), static_cast<uint32_t>(*action)});
        if (name.text() != text) return std::nullopt; // leading zeros
        return name;
    }

    std::string text() const {
        return delivered ? cat(id.text(), '.', rcpt, '.', action) : id.text();
    }
    // "2a": the bucket is taken from the random end of the id.
    std::string bucket() const {
        const char byte = static_cast<char>(id.low % kBodyBuckets);
        return to_hex(std::string_view(&byte, 1));
    }
    // "bodies/2a/<name>", relative to the account directory.
    std::string path() const { return cat("bodies/", bucket(), '/', text()); }
    // The EMAILID of the message (RFC 8474): the same for all its copies, and computed from the
    // name so that it survives a rebuild. Distinct for each recipient and action of one queue
    // entry.
    Id email_id() const {
        if (!delivered) return id;
        const uint64_t index = static_cast<uint64_t>(action) << 32 | rcpt;
        return Id{id.high ^ (index + 1) * 0x9E3779B97F4A7C15u, id.low};
    }
};

} // namespace tambo::store
