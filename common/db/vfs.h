// The file layer that every Database opens with.
#pragma once

namespace tambo::db {

// Name of SQLite's own unix file layer with one change: random bytes come from getrandom(2) instead
// of /dev/urandom, which a sandboxed process cannot open. Registered at the first call; not
// thread-safe then.
const char* vfs_name();

} // namespace tambo::db
