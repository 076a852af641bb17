#include "tests/sandbox/operations.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace tambo::probe {

namespace {

// ---- names

std::string own(const Targets& t) {
    return t.scratch + "/" + std::to_string(::getpid());
}
void make_own(const Targets& t) {
    const int fd = ::open(own(t).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0) {
        ::fchmod(fd, 0666);
        ::close(fd);
    }
}

int result(long returned) {
    return returned >= 0 ? 0 : errno;
}
int open_result(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0) return errno;
    ::close(fd);
    return 0;
}
int create(const std::string& path) {
    const int failed = open_result(path, O_CREAT | O_EXCL | O_WRONLY);
    if (failed == 0) ::unlink(path.c_str());
    return failed;
}
int list(const std::string& path) {
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) return errno;
    const bool some = ::readdir(directory) != nullptr;
    ::closedir(directory);
    return some ? 0 : ENOENT;
}

// ---- files

int read_other_account(const Targets& t) {
    return open_result(t.other_index, O_RDONLY);
}
int write_other_account(const Targets& t) {
    return open_result(t.other_index, O_WRONLY);
}
int list_other_account(const Targets& t) {
    return list(t.other_index.substr(0, t.other_index.rfind('/')));
}
int read_queue(const Targets& t) {
    return open_result(t.state + "/spool/queue.db", O_RDONLY);
}
int write_queue(const Targets& t) {
    return open_result(t.state + "/spool/queue.db", O_WRONLY);
}
int read_accounts(const Targets& t) {
    return open_result(t.state + "/accounts/accounts.db", O_RDONLY);
}
int write_accounts(const Targets& t) {
    return open_result(t.state + "/accounts/accounts.db", O_WRONLY);
}
int read_log(const Targets& t) {
    return open_result(t.state + "/log/events.log", O_RDONLY);
}
int write_epoch(const Targets& t) {
    return open_result(t.state + "/epoch", O_WRONLY);
}
int read_key(const Targets& t) {
    return open_result(t.key, O_RDONLY);
}
int write_config(const Targets& t) {
    return open_result(t.config, O_WRONLY | O_APPEND);
}
int read_shadow(const Targets&) {
    return open_result("/etc/shadow", O_RDONLY);
}
int read_passwd(const Targets&) {
    return open_result("/etc/passwd", O_RDONLY);
}
int list_root(const Targets&) {
    return list("/usr");
}
int create_in_root(const Targets&) {
    return create("/tambo-probe." + std::to_string(::getpid()));
}
int create_in_scratch(const Targets& t) {
    return create(own(t) + ".new");
}
int create_in_state(const Targets& t) {
    return create(t.state + "/probe." + std::to_string(::getpid()));
}
int make_directory(const Targets& t) {
    const std::string path = own(t) + ".d";
    const int failed = result(::mkdir(path.c_str(), 0700));
    if (failed == 0) ::rmdir(path.c_str());
    return failed;
}
int rename_file(const Targets& t) {
    return result(::rename(own(t).c_str(), (own(t) + ".renamed").c_str()));
}
int remove_file(const Targets& t) {
    return result(::unlink(own(t).c_str()));
}
int link_file(const Targets& t) {
    return result(::link(own(t).c_str(), (own(t) + ".link").c_str()));
}
int symlink_file(const Targets& t) {
    return result(::symlink("/etc/passwd", (own(t) + ".symlink").c_str()));
}
int change_mode(const Targets& t) {
    return result(::chmod(own(t).c_str(), 04777));
}
int change_owner(const Targets& t) {
    return result(::chown(own(t).c_str(), 0, 0));
}
int truncate_file(const Targets& t) {
    return result(::truncate(own(t).c_str(), 10));
}
int set_attribute(const Targets& t) {
    return result(::setxattr(own(t).c_str(), "user.probe", "x", 1, 0));
}
int make_device(const Targets& t) {
    return result(::mknod((own(t) + ".dev").c_str(), S_IFCHR | 0600, makedev(1, 3)));
}
int open_by_handle(const Targets& t) {
    alignas(file_handle) char room[sizeof(file_handle) + MAX_HANDLE_SZ]{};
    auto* handle = reinterpret_cast<file_handle*>(room);
    handle->handle_bytes = MAX_HANDLE_SZ;
    int mount = 0;
    if (::name_to_handle_at(AT_FDCWD, t.config.c_str(), handle, &mount, 0) != 0) return errno;
    const int directory = ::open(t.scratch.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return result(::open_by_handle_at(directory, handle, O_RDONLY | O_CLOEXEC));
}
int read_memory_of_parent(const Targets&) {
    return open_result("/proc/" + std::to_string(::getppid()) + "/mem", O_RDONLY);
}
int watch_files(const Targets& t) {
    const int fd = ::inotify_init1(IN_CLOEXEC);
    if (fd < 0) return errno;
    return result(::inotify_add_watch(fd, t.state.c_str(), IN_OPEN));
}

// ---- the network

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    address.sin_port = ::htons(static_cast<uint16_t>(port));
    return address;
}
int connect_tcp(const Targets& t) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    const sockaddr_in to = loopback(t.port);
    return result(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to));
}
int send_udp(const Targets& t) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    const sockaddr_in to = loopback(t.port);
    return result(::sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to));
}
int listen_tcp(const Targets&) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    const sockaddr_in at = loopback(0);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return errno;
    return result(::listen(fd, 1));
}
int connect_unix(const Targets& t) {
    const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const std::string path = t.state + "/control/master.sock";
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    return result(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to));
}
int ask_netlink(const Targets&) {
    return result(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}
int raw_socket(const Targets&) {
    return result(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}
int packet_socket(const Targets&) {
    return result(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

// ---- programs and processes

int run_program(const Targets&) {
    const char* const words[] = {"/bin/true", nullptr};
    ::execve(words[0], const_cast<char* const*>(words), const_cast<char* const*>(words + 1));
    return errno;
}
int run_memory(const Targets&) {
    const int self = ::open("/bin/true", O_RDONLY | O_CLOEXEC);
    const char* const words[] = {"true", nullptr};
    ::syscall(SYS_execveat, self, "", words, words + 1, AT_EMPTY_PATH);
    return errno;
}
int fork_process(const Targets&) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    if (child < 0) return errno;
    int status = 0;
    ::waitpid(child, &status, 0);
    return 0;
}
int start_thread(const Targets&) {
    pthread_t thread{};
    const int failed = ::pthread_create(
        &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
    if (failed == 0) ::pthread_join(thread, nullptr);
    return failed;
}
int trace_parent(const Targets&) {
    return result(::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr));
}
int read_parent(const Targets&) {
    char mine = 0;
    char* theirs = &mine; // the same place: it was forked
    const iovec to{&mine, 1}, from{theirs, 1};
    return result(::process_vm_readv(::getppid(), &to, 1, &from, 1, 0));
}
int signal_parent(const Targets&) {
    return result(::kill(::getppid(), 0));
}
int signal_init(const Targets&) {
    return result(::kill(1, 0));
}
int take_descriptor(const Targets&) {
    const long process = ::syscall(SYS_pidfd_open, ::getppid(), 0);
    if (process < 0) return errno;
    return result(::syscall(SYS_pidfd_getfd, process, 2, 0));
}
int become_root(const Targets&) {
    return result(::setresuid(0, 0, 0));
}
int take_capability(const Targets&) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    data[0].effective = data[0].permitted = 1u << CAP_CHOWN;
    return result(::syscall(SYS_capset, &header, data));
}
int change_root(const Targets& t) {
    return result(::chroot(t.scratch.c_str()));
}
int mount_filesystem(const Targets& t) {
    if (::unshare(CLONE_NEWNS) != 0) return errno;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
    return result(::mount("none", t.scratch.c_str(), "tmpfs", 0, nullptr));
}
int new_user_namespace(const Targets&) {
    return result(::unshare(CLONE_NEWUSER));
}
int new_network(const Targets&) {
    return result(::unshare(CLONE_NEWNET));
}
int enter_namespace(const Targets&) {
    const int fd = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    return result(::setns(fd, CLONE_NEWNET));
}
int raise_limit(const Targets&) {
    const rlimit limit{1, 1};
    return result(::setrlimit(RLIMIT_CORE, &limit));
}
int raise_priority(const Targets&) {
    return result(::setpriority(PRIO_PROCESS, 0, -5));
}

// ---- the kernel

int load_bpf(const Targets&) {
    bpf_attr attributes{};
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = attributes.value_size = 4;
    attributes.max_entries = 1;
    return result(::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}
int count_events(const Targets&) {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_SW_CPU_CLOCK;
    return result(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}
int ring_of_requests(const Targets&) {
    char parameters[120]{};
    return result(::syscall(SYS_io_uring_setup, 4, parameters));
}
int use_keyring(const Targets&) {
    return result(::syscall(SYS_keyctl, 0 /* get id */, -3 /* session */, 1));
}
int catch_faults(const Targets&) {
    return result(::syscall(SYS_userfaultfd, O_CLOEXEC));
}
int writable_code(const Targets&) {
    void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? errno : 0;
}
int code_from_data(const Targets&) {
    void* memory =
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result(::mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}
int fixed_addresses(const Targets&) {
    return ::personality(ADDR_NO_RANDOMIZE) == -1 ? errno : 0;
}
int memory_without_end(const Targets&) {
    void* memory = ::mmap(nullptr, size_t{64} << 30, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? errno : 0;
}
int shared_memory(const Targets&) {
    const int id = ::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    if (id < 0) return errno;
    ::shmctl(id, IPC_RMID, nullptr);
    return 0;
}
int name_host(const Targets&) {
    char name[256]{};
    ::gethostname(name, sizeof name - 1);
    return result(::sethostname(name, std::strlen(name)));
}
int read_kernel_log(const Targets&) {
    return result(::syscall(SYS_syslog, 10 /* its size */, nullptr, 0));
}

constexpr std::array kOperations{
    Operation{"read_other_account", nullptr, read_other_account},
    Operation{"write_other_account", nullptr, write_other_account},
    Operation{"list_other_account", nullptr, list_other_account},
    Operation{"read_queue", nullptr, read_queue},
    Operation{"write_queue", nullptr, write_queue},
    Operation{"read_accounts", nullptr, read_accounts},
    Operation{"write_accounts", nullptr, write_accounts},
    Operation{"read_log", nullptr, read_log},
    Operation{"write_epoch", nullptr, write_epoch},
    Operation{"read_key", nullptr, read_key},
    Operation{"write_config", nullptr, write_config},
    Operation{"read_shadow", nullptr, read_shadow},
    Operation{"read_passwd", nullptr, read_passwd},
    Operation{"list_root", nullptr, list_root},
    Operation{"create_in_root", nullptr, create_in_root},
    Operation{"create_in_scratch", nullptr, create_in_scratch},
    Operation{"create_in_state", nullptr, create_in_state},
    Operation{"make_directory", nullptr, make_directory},
    Operation{"rename_file", make_own, rename_file},
    Operation{"remove_file", make_own, remove_file},
    Operation{"link_file", make_own, link_file},
    Operation{"symlink_file", nullptr, symlink_file},
    Operation{"change_mode", make_own, change_mode},
    Operation{"change_owner", make_own, change_owner},
    Operation{"truncate_file", make_own, truncate_file},
    Operation{"set_attribute", make_own, set_attribute},
    Operation{"make_device", nullptr, make_device},
    Operation{"open_by_handle", nullptr, open_by_handle},
    Operation{"read_memory_of_parent", nullptr, read_memory_of_parent},
    Operation{"watch_files", nullptr, watch_files},
    Operation{"connect_tcp", nullptr, connect_tcp},
    Operation{"send_udp", nullptr, send_udp},
    Operation{"listen_tcp", nullptr, listen_tcp},
    Operation{"connect_unix", nullptr, connect_unix},
    Operation{"ask_netlink", nullptr, ask_netlink},
    Operation{"raw_socket", nullptr, raw_socket},
    Operation{"packet_socket", nullptr, packet_socket},
    Operation{"run_program", nullptr, run_program},
    Operation{"run_memory", nullptr, run_memory},
    Operation{"fork_process", nullptr, fork_process},
    Operation{"start_thread", nullptr, start_thread},
    Operation{"trace_parent", nullptr, trace_parent},
    Operation{"read_parent", nullptr, read_parent},
    Operation{"signal_parent", nullptr, signal_parent},
    Operation{"signal_init", nullptr, signal_init},
    Operation{"take_descriptor", nullptr, take_descriptor},
    Operation{"become_root", nullptr, become_root},
    Operation{"take_capability", nullptr, take_capability},
    Operation{"change_root", nullptr, change_root},
    Operation{"mount_filesystem", nullptr, mount_filesystem},
    Operation{"new_user_namespace", nullptr, new_user_namespace},
    Operation{"new_network", nullptr, new_network},
    Operation{"enter_namespace", nullptr, enter_namespace},
    Operation{"raise_limit", nullptr, raise_limit},
    Operation{"raise_priority", nullptr, raise_priority},
    Operation{"load_bpf", nullptr, load_bpf},
    Operation{"count_events", nullptr, count_events},
    Operation{"ring_of_requests", nullptr, ring_of_requests},
    Operation{"use_keyring", nullptr, use_keyring},
    Operation{"catch_faults", nullptr, catch_faults},
    Operation{"writable_code", nullptr, writable_code},
    Operation{"code_from_data", nullptr, code_from_data},
    Operation{"fixed_addresses", nullptr, fixed_addresses},
    Operation{"memory_without_end", nullptr, memory_without_end},
    Operation{"shared_memory", nullptr, shared_memory},
    Operation{"name_host", nullptr, name_host},
    Operation{"read_kernel_log", nullptr, read_kernel_log},
};

} // namespace

std::span<const Operation> operations() {
    return kOperations;
}

} // namespace tambo::probe
