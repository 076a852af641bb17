// Linked into the daemons of tests/hostile in front of send_datagram() (ld --wrap): of what a
// daemon says to master and to its neighbours some frames are others than it meant, as if it had
// been taken over by somebody who knows the protocol. How many, hostile.conf beside the program
// says.
#include "common/ipc/frame.h"
#include "common/sys/fdpass.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

namespace tambo::hostile {

namespace {

constexpr size_t kFramesKept = 16;

struct Plan {
    unsigned one_in = 0; // frames; 0: none
    unsigned spared = 0; // at the beginning of each process
    std::mt19937 random{std::random_device{}()};

    Plan() {
        char self[PATH_MAX]{};
        if (::readlink("/proc/self/exe", self, sizeof self - 1) < 0) std::abort();
        std::string path(self);
        std::ifstream file(path.substr(0, path.rfind('/') + 1) + "hostile.conf");
        unsigned seed = 0;
        file >> one_in >> spared >> seed;
        if (!file) std::abort();
        random.seed(seed + static_cast<unsigned>(::getpid()));
    }
    size_t below(size_t n) { return n == 0 ? 0 : random() % n; }
};

Plan& plan() {
    static Plan the_plan;
    return the_plan;
}

// Read while the file can be reached: a process that is forked later inherits it.
[[gnu::constructor]] void read_plan() {
    plan();
}

std::array<std::string, kFramesKept> kept;

// The length of the header says what there is.
void settle(std::string& frame) {
    if (frame.size() < ipc::kHeaderBytes) return;
    const size_t length = frame.size() - ipc::kHeaderBytes;
    for (size_t i = 0; i < 4; ++i)
        frame[4 + i] = static_cast<char>(length >> (8 * i));
}

void overwrite(std::string& frame, size_t at, size_t count, int value) {
    for (size_t i = at; i < std::min(at + count, frame.size()); ++i) {
        frame[i] = static_cast<char>(value < 0 ? plan().random() : static_cast<unsigned>(value));
    }
}

std::string changed(std::string frame) {
    const size_t payload = frame.size() - ipc::kHeaderBytes;
    const size_t at = ipc::kHeaderBytes + plan().below(payload);
    switch (plan().below(10)) {
    case 0:
        overwrite(frame, at, 1 + plan().below(8), -1);
        break;
    case 1:
        overwrite(frame, at, 8, 0xff);
        break;
    case 2:
        overwrite(frame, at, 8, 0);
        break;
    case 3:
        frame.resize(at);
        settle(frame);
        break;
    case 4:
        frame.append(plan().below(300), 'x');
        settle(frame);
        break;
    case 5:
        frame.resize(plan().below(frame.size()));
        break; // and the header says more
    case 6:
        overwrite(frame, 0, 1, static_cast<int>(1 + plan().below(14)));
        break; // another type
    case 7:
        overwrite(frame, 2, 1, static_cast<int>(plan().below(4)));
        break; // flags
    case 8:
        overwrite(frame, 8, 1, static_cast<int>(plan().below(256)));
        break; // another's id
    default:
        return kept[plan().below(kFramesKept)]; // said once before
    }
    return frame;
}

} // namespace

// ---- in place of what the daemons call

SendStatus real_send(int, std::string_view, std::string_view, std::span<const int>) asm(
    "__real__ZN5tambo13send_datagramEiSt17basic_string_viewIcSt11char_traitsIcEES3_"
    "St4spanIKiLm18446744073709551615EE");
SendStatus wrapped_send(int, std::string_view, std::string_view, std::span<const int>) asm(
    "__wrap__ZN5tambo13send_datagramEiSt17basic_string_viewIcSt11char_traitsIcEES3_"
    "St4spanIKiLm18446744073709551615EE");

SendStatus
wrapped_send(int socket, std::string_view head, std::string_view body, std::span<const int> fds) {
    static unsigned said = 0;
    std::string frame = std::string(head).append(body);
    if (plan().one_in == 0 || ++said <= plan().spared || frame.size() < ipc::kHeaderBytes ||
        plan().below(plan().one_in) != 0) {
        kept[plan().below(kFramesKept)] = frame;
        return real_send(socket, head, body, fds);
    }
    std::string lie = changed(frame);
    if (lie.empty()) lie = frame;
    const bool with_fds = plan().below(4) != 0;
    const auto status = real_send(socket, lie, {}, with_fds ? fds : std::span<const int>{});
    // Sometimes the truth comes behind it.
    if (status == SendStatus::sent && plan().below(2) == 0)
        return real_send(socket, head, body, fds);
    return status;
}

} // namespace tambo::hostile
