// A whole command stream: the reader with both ways to answer a message, then every parser that
// takes a command. The first byte chooses limits and the size of the pieces.
#include "imapd/session/args.h"
#include "imapd/session/fetch_items.h"
#include "imapd/session/response.h"
#include "imapd/session/search_key.h"

#include <cstdint>
#include <cstdlib>

using namespace tambo::imap;

namespace {

void parse(std::string_view text) {
    Parser in(text);
    try {
        if (!in.try_tag()) return;
        in.space();
        if (in.accept_word("FETCH")) {
            in.space();
            in.sequence_set();
            in.space();
            for (const auto& item : parse_fetch_items(in))
                fetch_label(item);
        } else if (in.accept_word("SEARCH")) {
            in.space();
            parse_search(in);
        } else if (in.accept_word("STORE")) {
            in.space();
            parse_store(in);
        } else if (in.accept_word("LIST")) {
            in.space();
            parse_list(in);
        } else if (in.accept_word("STATUS")) {
            in.space();
            parse_status(in);
        } else if (in.accept_word("APPEND")) {
            in.space();
            parse_append(in);
        } else if (in.accept_word("ID")) {
            in.space();
            parse_id(in);
        } else {
            in.atom();
            while (in.accept(' '))
                in.astring();
            in.end();
        }
    } catch (const Bad&) {
    } catch (const No&) {
    }
}

// true: the connection ends.
bool handle(CommandReader& reader, CommandReader::Event event, bool take) {
    switch (event) {
    case CommandReader::Event::hopeless:
        return true;
    case CommandReader::Event::message:
        if (take) {
            reader.take_message();
        } else {
            reader.refuse_message();
        }
        return false;
    case CommandReader::Event::command:
        parse(reader.text());
        [[fallthrough]];
    case CommandReader::Event::refused:
        reader.reset();
        return false;
    default:
        return false;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size == 0) return 0;
    const unsigned mode = bytes[0];
    const std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
    const ReaderLimits small{64, 32, 128, 4, true};
    CommandReader reader((mode & 1) ? small : (mode & 2) ? kPreloginLimits : kSessionLimits);
    const size_t piece = (mode >> 4) == 0 ? input.size() : (mode >> 4);
    for (size_t at = 0; at < input.size(); at += piece) {
        auto view = input.substr(at, piece);
        for (;;) {
            const auto event = reader.feed(view);
            if (reader.text().size() > tambo::limits::imap_command_bytes + 4096) std::abort();
            if (event == CommandReader::Event::more) break;
            if (handle(reader, event, (mode & 4) != 0)) return 0;
        }
    }
    return 0;
}
