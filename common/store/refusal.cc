#include "common/store/refusal.h"

namespace tambo::store {

std::string_view text_of(Refusal refusal) {
    switch (refusal) {
    case Refusal::nonexistent:
        return "no such mailbox";
    case Refusal::already_exists:
        return "mailbox already exists";
    case Refusal::cannot:
        return "that name cannot be used so";
    case Refusal::not_selectable:
        return "not a selectable mailbox";
    case Refusal::has_children:
        return "the mailbox has children";
    case Refusal::over_quota:
        return "over quota";
    case Refusal::too_big:
        return "message too big";
    case Refusal::limit:
        return "limit reached";
    case Refusal::no_body:
        return "message text is missing";
    case Refusal::read_only:
        return "the account is read-only";
    case Refusal::disk_full:
        return "disk full";
    case Refusal::io_error:
        return "i/o error";
    case Refusal::corrupt:
        return "the index is damaged";
    case Refusal::unavailable:
        return "the files of the account cannot be opened";
    case Refusal::busy:
        return "the account is in use";
    case Refusal::incompatible:
        return "the index belongs to another version";
    }
    return "refused";
}

} // namespace tambo::store
