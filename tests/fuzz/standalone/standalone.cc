// Runs one fuzz target over files, in order, without libFuzzer: tests/linear counts its
// instructions, ./dev test replays the corpus. The argument is a file with the paths.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
    if (argc != 2) return 64;
    std::ifstream list(argv[1]);
    int inputs = 0;
    for (std::string path; std::getline(list, path); ++inputs) {
        std::ifstream file(path, std::ios::binary);
        if (!file) return 66;
        const std::string bytes((std::istreambuf_iterator<char>(file)), {});
        // A copy without a byte to spare: what is read behind it is seen.
        const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
        std::copy(bytes.begin(), bytes.end(), exact.get());
        LLVMFuzzerTestOneInput(exact.get(), bytes.size());
    }
    std::printf("Done %d inputs\n", inputs);
    return 0;
}
