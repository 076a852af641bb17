#include "imapd/session/facts.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/date.h"
#include "common/mime/header.h"
#include "common/mime/imap_text.h"
#include "common/mime/search_text.h"
#include "common/mime/structure.h"

#include <array>
#include <utility>

namespace tambo::imap {

namespace {

using Text = std::string store::MessageFacts::*;

constexpr std::array<std::pair<std::string_view, Text>, 5> kTexts{
    {{"From", &store::MessageFacts::from},
     {"To", &store::MessageFacts::to},
     {"Cc", &store::MessageFacts::cc},
     {"Bcc", &store::MessageFacts::bcc},
     {"Subject", &store::MessageFacts::subject}}};

// Repeated fields count all; a line end keeps them apart.
void add_text(store::MessageFacts& facts, const mime::Field& field) {
    for (const auto& [name, text] : kTexts) {
        if (!iequals(name, field.name)) continue;
        std::string& out = facts.*text;
        const size_t room = limits::header_field_bytes_max - out.size();
        if (room < 2) return;
        if (!out.empty()) out.push_back('\n');
        auto folded = mime::folded(mime::field_text(field));
        if (folded.size() > room - 1) folded.resize(room - 1);
        out.append(folded);
    }
}

void add_header(store::MessageFacts& facts, std::string_view message, const mime::Field& field) {
    facts.header.append(message.substr(field.range.begin, field.range.size()));
    if (!facts.header.ends_with('\n')) facts.header.append("\r\n");
}

} // namespace

store::MessageFacts parse_facts(std::string_view message) {
    const mime::MessageView view(message);
    const auto header = mime::Header::parse(message);
    const auto structure = mime::parse_structure(view);
    store::MessageFacts facts;
    facts.envelope = mime::envelope_text(header);
    facts.bodystructure = mime::bodystructure_text(view, structure);
    for (const mime::Field& field : header.fields()) {
        if (field.name.empty() || !store::is_cached_header(field.name)) continue;
        add_header(facts, message, field);
        add_text(facts, field);
    }
    if (const auto date = mime::parse_date(header.value("Date"))) {
        facts.sent_s = date->utc.seconds();
    }
    return facts;
}

} // namespace tambo::imap
