// The blobs of index.db: whatever a damaged file holds is refused or fits, and what was understood
// is written again as it was.
#include "common/base/check.h"
#include "common/store/body_name.h"
#include "common/store/codec.h"
#include "common/store/loaded_mailbox.h"
#include "common/store/names.h"

using namespace tambo;
using namespace tambo::store;

namespace {

std::string encode(const Delta& delta) {
    switch (delta.kind) {
    case DeltaKind::append:
        return encode_append(delta.modseq, delta.aux.empty() ? UtcTime{} : delta.aux[0].savedate,
                             delta.entries, delta.aux);
    case DeltaKind::flags:
        return encode_flags(delta.modseq, delta.edit, delta.uids);
    case DeltaKind::expunge:
        return encode_expunge(delta.modseq, delta.uids);
    }
    return {};
}

void load(std::string_view block, std::string_view state, const Delta* delta) {
    Row row;
    LoadedMailbox mailbox(row, {});
    if (!mailbox.load_block(1, block, state)) return;
    check(encode_block(mailbox.entries()) == block, "blocks are written as they were read");
    if (delta) static_cast<void>(mailbox.apply(*delta));
    uint64_t entries = 0;
    for (const Block& each : mailbox.blocks())
        entries += each.count;
    check(!delta || entries == mailbox.entries().size() || delta->kind == DeltaKind::append,
          "blocks count the entries");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    Delta delta;
    const bool good = decode_delta(input, delta);
    if (good && !(delta.kind == DeltaKind::append && delta.entries.empty())) {
        check(encode(delta) == input, "deltas are written as they were read");
    }
    std::vector<Aux> aux;
    if (decode_aux(input, aux)) check(encode_aux(aux) == input, "aux");
    std::vector<Tombstone> tombstones;
    if (decode_tombstones(input, tombstones)) {
        check(encode_tombstones(tombstones) == input, "tombstones");
    }
    for (size_t split = 20; split < size && split <= 400; split += 20) {
        load(input.substr(0, split), input.substr(split), good ? &delta : nullptr);
    }
    if (const auto name = BodyName::parse(input)) check(name->text() == input, "body name");
    if (const auto name = normalise_name(input)) {
        check(normalise_name(*name) == *name, "a normal name stays");
    }
    return 0;
}
