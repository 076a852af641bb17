// Address lists: a list that is written anew reads back the same.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/mime/address.h"
#include "common/mime/compose.h"
#include "common/mime/header.h"

using namespace tambo;
using namespace tambo::mime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view raw(reinterpret_cast<const char*>(data), size);
    const AddressList list = parse_addresses(raw);
    const std::string_view values[] = {raw};
    const Author author = check_author(values);
    if (author.verdict == Author::Verdict::ok) {
        check(list.well_formed && author.mailboxes.size() == 1, "an author without doubt");
        check(!author.mailboxes[0].domain.empty(), "who has a domain");
    }
    int depth = 0;
    bool all_valid = true;
    for (const Address& address : list.items) {
        depth += address.kind == Address::Kind::group_begin;
        depth -= address.kind == Address::Kind::group_end;
        check(depth == 0 || depth == 1, "groups are pairs and do not nest");
        if (address.kind == Address::Kind::mailbox) all_valid = all_valid && address.valid;
    }
    check(depth == 0, "groups end");
    std::string out;
    if (!all_valid || !list.well_formed || !append_address_field(out, "To", list.items)) return 0;
    const Header header = Header::parse(out);
    check(header.fields().size() == 1 && !header.has_blank_line(), "one field is one field");
    const AddressList again = parse_addresses(header.value("To"));
    check(again.items.size() == list.items.size(), "as many as before");
    for (size_t i = 0; i < list.items.size(); ++i) {
        check(again.items[i].kind == list.items[i].kind, "of the same kind");
        check(again.items[i].local == list.items[i].local, "with the same local part");
        if (is_ascii(list.items[i].domain)) {
            check(again.items[i].domain == list.items[i].domain, "and the same domain");
        }
    }
    return 0;
}
