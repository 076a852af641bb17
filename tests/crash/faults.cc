// A disk that fails on order: a library that tests in tests/crash preload into the daemons of a
// suite (tests/harness/faults.py). It is built with the tests and never installed; no program knows
// of it. What to do stands in memory shared with the test, because in its sandbox a daemon could
// open nothing to ask. Without TAMBO_FAULTS in the environment it only passes calls on.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

// Bits, as in tests/harness/faults.py.
enum Kind : uint32_t { kWrite = 1, kSync = 2, kLink = 4, kOpen = 8, kCreate = 16, kRename = 32 };
constexpr unsigned kKinds = 6, kPrograms = 8;

// As FORMAT in tests/harness/faults.py.
struct Orders {
    uint32_t magic;
    uint32_t swallow_syncs; // they return 0 and do nothing
    uint32_t delay_syncfs_ms;
    uint32_t armed;
    char program[16]; // file name of the program concerned
    uint32_t kinds;
    int32_t error;   // 0: a short write
    uint32_t sticky; // from the nth call on, else only that one
    uint32_t unused;
    uint64_t nth;    // counted from 1
    uint64_t device; // of the files that can fail; others are passed on
    uint64_t seen;   // calls that were counted for it
    uint64_t fired;
    char programs[kPrograms][16];
    uint64_t calls[kPrograms][kKinds]; // of each program, while armed
};
constexpr uint32_t kMagic = 0x0BADD15C;

Orders* orders = nullptr;
char own_program[16];
uint64_t* own_calls = nullptr;

__attribute__((constructor)) void read_orders() {
    const char* path = ::getenv("TAMBO_FAULTS");
    if (path == nullptr) return;
    char self[4096];
    const ssize_t size = ::readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0) return;
    self[size] = '\0';
    const char* name = ::strrchr(self, '/');
    name = name ? name + 1 : self;
    ::memcpy(own_program, name, ::strnlen(name, sizeof own_program - 1));
    const int fd = ::open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void* at = ::mmap(nullptr, sizeof(Orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (at == MAP_FAILED) return;
    auto* found = static_cast<Orders*>(at);
    if (found->magic != kMagic) return;
    orders = found;
    for (unsigned i = 0; i < kPrograms; ++i) {
        const bool own = ::strncmp(found->programs[i], own_program, sizeof own_program) == 0;
        if (own) own_calls = found->calls[i];
    }
}

// Whether this call of one of these kinds is the one that fails.
bool is_due(uint32_t kinds) {
    if (orders == nullptr || std::atomic_ref(orders->armed).load() == 0) return false;
    for (unsigned bit = 0; own_calls != nullptr && bit < kKinds; ++bit) {
        if ((kinds & 1u << bit) != 0) std::atomic_ref(own_calls[bit]).fetch_add(1);
    }
    if ((orders->kinds & kinds) == 0) return false;
    if (::strncmp(orders->program, own_program, sizeof own_program) != 0) return false;
    const uint64_t number = std::atomic_ref(orders->seen).fetch_add(1) + 1;
    const bool due = orders->sticky != 0 ? number >= orders->nth : number == orders->nth;
    if (due) std::atomic_ref(orders->fired).fetch_add(1);
    return due;
}

bool fails(uint32_t kinds) {
    if (!is_due(kinds)) return false;
    errno = orders->error;
    return true;
}

bool is_file(int fd) {
    if (orders == nullptr || std::atomic_ref(orders->armed).load() == 0) return false;
    const int before = errno;
    struct stat facts {};
    const bool file = ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) &&
                      (orders->device == 0 || facts.st_dev == orders->device);
    errno = before;
    return file;
}

// size: how much of a write is to be passed on.
bool write_fails(int fd, size_t& size) {
    if (!is_file(fd) || !is_due(kWrite)) return false;
    if (orders->error == 0) {
        if (size > 1) size /= 2;
        return false;
    }
    errno = orders->error;
    return true;
}

// What a program opens at its start, outside of the suite's directory.
bool is_elsewhere(const char* path) {
    for (const char* prefix : {"/proc/", "/dev/", "/sys/", "/etc/", "/usr/", "/lib"}) {
        if (::strncmp(path, prefix, ::strlen(prefix)) == 0) return true;
    }
    return false;
}

bool open_fails(const char* path, int flags) {
    if (orders == nullptr || is_elsewhere(path)) return false;
    return fails(kOpen | ((flags & O_CREAT) != 0 ? kCreate : 0u));
}

bool sync_is_swallowed() {
    return orders != nullptr && std::atomic_ref(orders->swallow_syncs).load() != 0;
}

void delay_syncfs() {
    const uint32_t delay_ms =
        orders == nullptr ? 0 : std::atomic_ref(orders->delay_syncfs_ms).load();
    if (delay_ms == 0) return;
    const timespec delay{delay_ms / 1000, static_cast<long>(delay_ms % 1000) * 1'000'000};
    ::nanosleep(&delay, nullptr);
}

// The function that would have been called without this library.
template <class F>
F* real(F*& known, const char* name) {
    if (known == nullptr) known = reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
    return known;
}

using Write = ssize_t(int, const void*, size_t);
using WriteAt = ssize_t(int, const void*, size_t, off_t);
using Sync = int(int);
using Link = int(const char*, const char*);
using LinkAt = int(int, const char*, int, const char*, int);
using RenameAt = int(int, const char*, int, const char*);
using Open = int(const char*, int, ...);
using OpenAt = int(int, const char*, int, ...);
using Open2 = int(const char*, int);
using OpenAt2 = int(int, const char*, int);

ssize_t
write_at(WriteAt*& known, const char* name, int fd, const void* data, size_t size, off_t offset) {
    if (write_fails(fd, size)) return -1;
    return real(known, name)(fd, data, size, offset);
}

int sync_file(Sync*& known, const char* name, int fd) {
    if (sync_is_swallowed()) return 0;
    if (fails(kSync)) return -1;
    return real(known, name)(fd);
}

int open_file(Open*& known, const char* name, const char* path, int flags, mode_t mode) {
    if (open_fails(path, flags)) return -1;
    return real(known, name)(path, flags, mode);
}

int open_file_at(
    OpenAt*& known, const char* name, int at, const char* path, int flags, mode_t mode) {
    if (open_fails(path, flags)) return -1;
    return real(known, name)(at, path, flags, mode);
}

Write* real_write = nullptr;
WriteAt *real_pwrite = nullptr, *real_pwrite64 = nullptr;
Sync *real_fsync = nullptr, *real_fdatasync = nullptr, *real_syncfs = nullptr;
Link *real_link = nullptr, *real_rename = nullptr;
LinkAt* real_linkat = nullptr;
RenameAt* real_renameat = nullptr;
Open *real_open = nullptr, *real_open64 = nullptr;
OpenAt *real_openat = nullptr, *real_openat64 = nullptr;
Open2 *real_open_2 = nullptr, *real_open64_2 = nullptr;
OpenAt2 *real_openat_2 = nullptr, *real_openat64_2 = nullptr;

mode_t mode_of(int flags, va_list arguments) {
    if ((flags & O_CREAT) == 0 && (flags & O_TMPFILE) != O_TMPFILE) return 0;
    return static_cast<mode_t>(va_arg(arguments, int));
}

} // namespace

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
    if (write_fails(fd, size)) return -1;
    return real(real_write, "write")(fd, data, size);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
    return write_at(real_pwrite, "pwrite", fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off_t offset) {
    return write_at(real_pwrite64, "pwrite64", fd, data, size, offset);
}

int fsync(int fd) {
    return sync_file(real_fsync, "fsync", fd);
}
int fdatasync(int fd) {
    return sync_file(real_fdatasync, "fdatasync", fd);
}
int syncfs(int fd) noexcept {
    delay_syncfs();
    return sync_file(real_syncfs, "syncfs", fd);
}

int link(const char* from, const char* to) noexcept {
    if (fails(kLink)) return -1;
    return real(real_link, "link")(from, to);
}
int linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) noexcept {
    if (fails(kLink)) return -1;
    return real(real_linkat, "linkat")(from_dir, from, to_dir, to, flags);
}
int rename(const char* from, const char* to) noexcept {
    if (fails(kRename)) return -1;
    return real(real_rename, "rename")(from, to);
}
int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
    if (fails(kRename)) return -1;
    return real(real_renameat, "renameat")(from_dir, from, to_dir, to);
}

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(real_open, "open", path, flags, mode);
}
int open64(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(real_open64, "open64", path, flags, mode);
}
int openat(int at, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file_at(real_openat, "openat", at, path, flags, mode);
}
int openat64(int at, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file_at(real_openat64, "openat64", at, path, flags, mode);
}

// What the headers make of open() and openat() without a mode in a hardened build.
int __open_2(const char* path, int flags) {
    if (open_fails(path, flags)) return -1;
    return real(real_open_2, "__open_2")(path, flags);
}
int __open64_2(const char* path, int flags) {
    if (open_fails(path, flags)) return -1;
    return real(real_open64_2, "__open64_2")(path, flags);
}
int __openat_2(int at, const char* path, int flags) {
    if (open_fails(path, flags)) return -1;
    return real(real_openat_2, "__openat_2")(at, path, flags);
}
int __openat64_2(int at, const char* path, int flags) {
    if (open_fails(path, flags)) return -1;
    return real(real_openat64_2, "__openat64_2")(at, path, flags);
}

} // extern "C"
