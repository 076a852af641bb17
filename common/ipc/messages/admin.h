// The one form of question that the command line asks a daemon on its control socket
// (control/<daemon>.sock): a verb with words, answered with rows. Each daemon documents its verbs
// where it serves them (<daemon>/admin.cc).
#pragma once

#include "common/ipc/frame.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::ipc {

struct AdminAnswer {
    uint8_t exit_code = 0;            // sysexits(3); 0 for success, 1 for "the answer is no"
    std::string error;                // what, where, what to do; empty on success
    std::vector<std::string> columns; // names, lower case with underscores: also the JSON keys
    std::vector<std::vector<std::string>> rows;
    std::string next; // not empty: ask again with this cursor for more rows
    template <class V> void visit(V& v) { v(exit_code, error, columns, rows, next); }
};

struct AdminRequest {
    static constexpr uint16_t kType = 0x0201;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = AdminAnswer;
    std::string verb;               // "domain.add", "queue.list", "status"
    std::vector<std::string> words; // operands, then options as "name=value"
    std::string secret;             // a password, when the verb takes one; never logged
    std::string cursor;             // from AdminAnswer::next
    template <class V> void visit(V& v) { v(verb, words, secret, cursor); }
};

} // namespace tambo::ipc
