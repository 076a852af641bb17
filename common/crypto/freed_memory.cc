#include "common/crypto/freed_memory.h"

#include <openssl/crypto.h>

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace tambo {

namespace {

void* allocate(size_t bytes, const char* /*file*/, int /*line*/) {
    return bytes == 0 ? nullptr : std::malloc(bytes);
}

void release(void* block, const char* /*file*/, int /*line*/) {
    if (block) OPENSSL_cleanse(block, ::malloc_usable_size(block));
    std::free(block);
}

// Never in place: realloc() may move, and leaves behind what it moved.
void* resize(void* block, size_t bytes, const char* file, int line) {
    void* fresh = allocate(bytes, file, line);
    if (!fresh && bytes > 0) return nullptr; // the old one stays
    if (block && fresh) std::memcpy(fresh, block, std::min(bytes, ::malloc_usable_size(block)));
    release(block, file, line);
    return fresh;
}

} // namespace

void wipe_freed_crypto_memory() {
    static_cast<void>(CRYPTO_set_mem_functions(allocate, resize, release));
}

} // namespace tambo
