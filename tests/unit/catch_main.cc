// The one main() of every unit test program.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#if defined(TAMBO_SANITIZED)
// AddressSanitizer keeps the last 256 MiB that were freed and gives pages back to the kernel at
// once, which takes half of the time of a test that plays thousands of short sessions. The 16 MiB
// here are dozens of whole sessions: a use after free that the tests provoke comes long before.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
    return "quarantine_size_mb=16:allocator_release_to_os_interval_ms=-1";
}
#endif
