// For a process that looks at private keys and shall not keep them: OpenSSL returns the buffers in
// which it has decoded a key to the heap as they are.
#pragma once

namespace tambo {

// From now on all memory that OpenSSL gives back is wiped. Only before OpenSSL was used for the
// first time; has no effect later.
void wipe_freed_crypto_memory();

} // namespace tambo
