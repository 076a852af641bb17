// The last of a deleted account.
#pragma once

namespace tambo::mailboxd {

// Removes everything below the current directory, never following a link out of it; the directory
// itself is the keeper's to remove. 0, or 1 if something is left.
int erase_current_directory();

} // namespace tambo::mailboxd
