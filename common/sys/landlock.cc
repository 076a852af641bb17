#include "common/sys/landlock.h"

#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/sys/error.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace tambo::sandbox {

namespace {

// The kernel's bits, include/uapi/linux/landlock.h.
constexpr uint64_t kExecute = 1u << 0, kWriteFile = 1u << 1, kReadFile = 1u << 2,
                   kReadDir = 1u << 3, kRemoveDir = 1u << 4, kRemoveFile = 1u << 5,
                   kMakeDir = 1u << 7, kMakeReg = 1u << 8;
constexpr uint64_t kAllOfAbi1 = (1u << 13) - 1;
constexpr uint64_t kRefer = 1u << 13, kTruncate = 1u << 14, kIoctlDevice = 1u << 15;
constexpr uint64_t kBindTcp = 1u << 0, kConnectTcp = 1u << 1;
constexpr uint64_t kScopeAbstractUnix = 1u << 0, kScopeSignal = 1u << 1;
constexpr uint64_t kOnFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;

struct RulesetAttributes {
    uint64_t handled_files, handled_network, scoped;
};

struct __attribute__((packed)) PathAttributes {
    uint64_t allowed;
    int32_t fd;
};

struct PortAttributes {
    uint64_t allowed, port;
};

constexpr int kPathRule = 1, kPortRule = 2;

// Each ABI knows a longer struct.
size_t attributes_size(int abi) {
    if (abi < 4) return 8;
    return abi < 6 ? 16 : sizeof(RulesetAttributes);
}

uint64_t handled_files(int abi) {
    uint64_t handled = kAllOfAbi1;
    if (abi >= 2) handled |= kRefer;
    if (abi >= 3) handled |= kTruncate;
    if (abi >= 5) handled |= kIoctlDevice;
    return handled;
}

uint64_t kernel_bits(unsigned access) {
    uint64_t bits = 0;
    if (access & Access::read_file) bits |= kReadFile;
    if (access & Access::list) bits |= kReadDir;
    if (access & Access::write) bits |= kWriteFile | kTruncate;
    if (access & Access::create) bits |= kMakeDir | kMakeReg;
    if (access & Access::remove) bits |= kRemoveDir | kRemoveFile;
    if (access & Access::refer) bits |= kRefer;
    return bits;
}

void add_path(int ruleset, const PathRule& rule, uint64_t handled) {
    struct stat st {};
    if (::fstat(rule.fd, &st) != 0) throw_errno("fstat of a Landlock rule");
    PathAttributes attributes{kernel_bits(rule.access) & handled, rule.fd};
    if (!S_ISDIR(st.st_mode)) attributes.allowed &= kOnFiles;
    if (::syscall(SYS_landlock_add_rule, ruleset, kPathRule, &attributes, 0) != 0) {
        throw_errno("landlock_add_rule for a path");
    }
}

} // namespace

int landlock_abi() {
    constexpr int kVersionQuestion = 1;
    const long answer = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionQuestion);
    int abi = answer < 0 ? 0 : static_cast<int>(answer);
    if (const char* pretend = std::getenv("TAMBO_LANDLOCK_ABI")) {
        abi = std::min(abi, static_cast<int>(parse_uint(pretend, 1000).value_or(1000)));
    }
    return abi;
}

void landlock_restrict(const LandlockRules& rules, int abi) {
    if (abi == 0) return;
    RulesetAttributes attributes{handled_files(abi), kBindTcp | kConnectTcp, kScopeAbstractUnix};
    if (rules.scope_signals) attributes.scoped |= kScopeSignal;
    const UniqueFd ruleset(static_cast<int>(
        ::syscall(SYS_landlock_create_ruleset, &attributes, attributes_size(abi), 0)));
    if (!ruleset.valid()) throw_errno("landlock_create_ruleset");
    for (const PathRule& rule : rules.paths) {
        add_path(ruleset.get(), rule, attributes.handled_files);
    }
    for (const uint16_t port : rules.connect_ports) {
        if (abi < 4) break;
        const PortAttributes allow{kConnectTcp, port};
        if (::syscall(SYS_landlock_add_rule, ruleset.get(), kPortRule, &allow, 0) != 0) {
            throw_errno("landlock_add_rule for a port");
        }
    }
    if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
        throw_errno("landlock_restrict_self");
    }
}

} // namespace tambo::sandbox
