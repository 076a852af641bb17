#include "authd/admin.h"

#include "common/base/limits.h"
#include "common/base/text.h"

#include <sysexits.h>

#include <algorithm>

namespace tambo::authd {

Admin::Admin(Service& service, ipc::AdminServer& server) : service_(service) {
    add(server, "domain.list", &Admin::domain_list);
    add(server, "domain.add", &Admin::domain_add);
    add(server, "domain.remove", &Admin::domain_remove);
    add(server, "domain.disable", &Admin::domain_disable);
    add(server, "domain.enable", &Admin::domain_enable);
    add(server, "alias.list", &Admin::alias_list);
    add(server, "alias.add", &Admin::alias_add);
    add(server, "alias.remove", &Admin::alias_remove);
    add(server, "alias.check", &Admin::alias_check);
    add(server, "aliases_file.check", &Admin::aliases_file_check);
    add(server, "address.explain", &Admin::address_explain);
    add(server, "postmaster", &Admin::postmaster);
    add(server, "user.check", &Admin::user_check);
    add(server, "user.list", &Admin::user_list);
    add(server, "user.show", &Admin::user_show);
    add(server, "user.remove", &Admin::user_remove);
    add(server, "user.disable", &Admin::user_disable);
    add(server, "user.enable", &Admin::user_enable);
    add(server, "user.quota", &Admin::user_quota);
    server.on("user.add", [this](ipc::AdminRequest request, ipc::Asker asker) {
        return user_add(std::move(request), asker);
    });
    server.on("password.set", [this](ipc::AdminRequest request, ipc::Asker asker) {
        return password_set(std::move(request), asker);
    });
    server.on("password.check", [this](ipc::AdminRequest request, ipc::Asker asker) {
        return password_check(std::move(request), asker);
    });
}

namespace {
// A page of rows must fit a datagram; one row is below 4 KiB.
constexpr size_t kRowsBytesMax = limits::ipc_message_bytes - 8 * 1024;

// The rows from the cursor on that fit. Who asks on gets the rows of that moment.
ipc::AdminAnswer page(ipc::AdminAnswer answer, const std::string& cursor) {
    auto& rows = answer.rows;
    const size_t first = std::min<size_t>(parse_uint(cursor).value_or(0), rows.size());
    size_t bytes = 0, end = first;
    for (; end < rows.size() && bytes < kRowsBytesMax; ++end) {
        bytes += sizeof(uint32_t);
        for (const auto& cell : rows[end])
            bytes += cell.size() + sizeof(uint32_t);
    }
    if (end < rows.size()) answer.next = cat(end);
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(end), rows.end());
    rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(first));
    return answer;
}

task<ipc::AdminAnswer> as_task(ipc::AdminAnswer answer) {
    co_return answer;
}
} // namespace

void Admin::add(ipc::AdminServer& server, const char* name, Verb verb) {
    server.on(name, [this, verb](ipc::AdminRequest request, ipc::Asker) {
        return as_task(page(run(verb, request.words), request.cursor));
    });
}

// What became of a change that the database refused.
std::string Admin::text_of(const db::DbError& error) {
    using Kind = db::DbError::Kind;
    const bool failed = error.kind() == Kind::io;
    if (failed && service_.directory().failed_change_may_return()) {
        return cat("the disk has failed; look when it works again whether this was changed: ",
                   error.what());
    }
    if (failed || error.kind() == Kind::read_only) {
        return cat("the disk has failed, nothing was changed: ", error.what());
    }
    if (error.kind() == Kind::full) {
        return cat("the disk is full, nothing was changed: ", error.what());
    }
    return error.what();
}

ipc::AdminAnswer Admin::answer_of(const std::function<ipc::AdminAnswer()>& step) {
    ipc::AdminAnswer answer;
    try {
        return step();
    } catch (const Refused& refused) {
        answer.exit_code = refused.exit_code;
        answer.error = refused.text;
    } catch (const db::DbError& error) {
        answer.exit_code = EX_IOERR;
        answer.error = text_of(error);
    }
    return answer;
}

ipc::AdminAnswer Admin::run(Verb verb, const Words& words) {
    return answer_of([&] { return (this->*verb)(words); });
}

} // namespace tambo::authd
