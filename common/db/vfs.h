// The file layer that every Database opens with.
#pragma once

namespace tambo::db {

// Name of SQLite's own unix file layer with two changes: random bytes come from getrandom(2) instead
// of /dev/urandom, which a sandboxed process cannot open; and what cannot be opened for writing is
// not opened for reading instead. Registered at the first call; not thread-safe then.
const char* vfs_name();

} // namespace tambo::db
